"""The steps of a campaign, one file each, in the order in which `pipeline` takes them."""
