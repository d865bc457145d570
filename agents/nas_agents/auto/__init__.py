"""From data to a model in one call: rules choose the search and the final training by the time.

`docs/train.md` states the rules; `rules` has their numbers.
"""

from nas_agents.auto.estimator import AutoClassifier as AutoClassifier
from nas_agents.auto.estimator import auto as auto
from nas_agents.auto.result import AutoResult as AutoResult
from nas_agents.auto.running import run_auto as run_auto
