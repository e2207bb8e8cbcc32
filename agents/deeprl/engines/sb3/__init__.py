"""The reference engine: one agent at a time through Stable-Baselines3, faults put in through its seams.

experience.py   gymnasium wrapper: what the learner is shown of each step
rollout.py      rollout buffer: terminal flags, discount, direction of the recursion
replay.py       replay buffer: terminal flags, next states, discount and sign of the bootstrap
collection.py   lost state updates and hidden time limits while experience is collected
policy_loss.py  sign of the policy loss
recording.py    callback: episodes, progress, the best checkpoint
build.py        recipe + seed -> model with the seams that the recipe needs
engine.py       trains it
"""
