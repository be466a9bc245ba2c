"""The leaderboard: methods on the models of a release, each result checked against the labels, and the page of all."""
