raise KeyError("in the script")
