"""What a server has decided and answered, in an SQLite file of all its processes, for the pages of the console."""
