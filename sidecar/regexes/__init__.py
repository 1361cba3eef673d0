"""Regular expressions of users: how long a search may take, told without searching.

Python's ``re`` tries everything that could match, with the whole interpreter held. Two questions are answered
here from the parsed expression: does it plainly take for ever on some text (``ambiguity``), and how many
steps does it take at most on this very text (``cost``). Between the two lies whatever is only doubtful.
"""
