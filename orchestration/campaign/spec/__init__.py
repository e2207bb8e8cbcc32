"""Campaign specs: YAML -> validated model -> everything resolved before the first step is trained."""
