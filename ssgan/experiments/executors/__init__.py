"""Where jobs are done: `executor` says what any such place can do, each other file is one kind of place."""
