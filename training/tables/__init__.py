"""Tables of rows from files and the Hub: how they are read, filtered and split by a column."""
