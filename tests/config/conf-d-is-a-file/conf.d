A file where a folder is wanted.
