"""The page of a domain: its versions, its candidate beside the champion, and moves of its aliases."""
