"""How well a method's scores of edges or nodes find a known circuit, and how well chance and the architecture do."""

from siit.scoring.grades import GRADES, Grade, grades
from siit.scoring.ranking import Chance, Ranking, Roc
from siit.scoring.score import Score, score

__all__ = ["GRADES", "Chance", "Grade", "Ranking", "Roc", "Score", "grades", "score"]
