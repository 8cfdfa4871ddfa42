"""What ``doctor`` looks at; every check answers, whatever it meets."""
