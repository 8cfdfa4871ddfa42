"""What training could gain on prepared data, and what is wrong with them, before anything is trained."""
