import os

import tree

# For the scripts.
os.environ["TREE_PACKAGE"] = "twisted"
resource = tree.make("twisted")
