"""One file per mutation operator; the table is `mutations.registry`."""

PAPER = "Tambon et al., Mutation Testing of Deep Reinforcement Learning Based on Real Faults, ICST 2023, section IV"
