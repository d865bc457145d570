"""The environments as Stable-Baselines3's agents take them: N episodes as one `VecEnv`.

`make_vec_env` has the arguments of Stable-Baselines3's own; what it makes is a `NASVecEnv`, or that
in one of the wrappers.
"""

from nas_gym.sb3.callbacks import StopOnBudget as StopOnBudget
from nas_gym.sb3.making import LOCK_STEP as LOCK_STEP
from nas_gym.sb3.making import make_vec_env as make_vec_env
from nas_gym.sb3.vec_env import NASVecEnv as NASVecEnv
from nas_gym.sb3.wrappers import VecContinuousAction as VecContinuousAction
from nas_gym.sb3.wrappers import VecWholeArchitecture as VecWholeArchitecture
