"""The fleet engine: a block of seeds of one recipe at once, compiled by XLA (JAX on the CPU).

Importing this package sets JAX up for the process, before its first computation: one thread, 64-bit numbers
where the code requests them (the physics), and a compilation cache on disk that all tasks of a node share.
"""

from agents.deeprl.engines.fleet.xla import configure

configure()
