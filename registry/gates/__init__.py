"""Gates: versions are compared with the champion, judged by the policy, and promoted."""
