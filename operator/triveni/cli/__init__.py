"""The command line: reads arguments, calls the other rooms, and puts what they say into words and pictures."""
