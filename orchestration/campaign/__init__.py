"""A mutation-testing campaign: from its spec to its report."""
