"""`Evaluation`, the record; `Evaluator`, the protocol; the memory and the budget. No torch here."""

from nas_gym.evaluation.budget import Budget as Budget
from nas_gym.evaluation.budget import Limits as Limits
from nas_gym.evaluation.evaluation import NOT_REPEATED as NOT_REPEATED
from nas_gym.evaluation.evaluation import NUMBERS as NUMBERS
from nas_gym.evaluation.evaluation import Evaluation as Evaluation
from nas_gym.evaluation.evaluation import Evaluations as Evaluations
from nas_gym.evaluation.evaluation import Listed as Listed
from nas_gym.evaluation.evaluation import Status as Status
from nas_gym.evaluation.evaluator import Evaluator as Evaluator
from nas_gym.evaluation.evaluator import RecordedEvaluator as RecordedEvaluator
from nas_gym.evaluation.memory import Finished as Finished
from nas_gym.evaluation.memory import Memory as Memory
from nas_gym.evaluation.memory import memory_of as memory_of
from nas_gym.evaluation.metric import Metric as Metric
from nas_gym.evaluation.metric import shown as shown
