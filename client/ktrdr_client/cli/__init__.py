"""The command `ktrdr`: the site's commands from another machine, over the API."""
