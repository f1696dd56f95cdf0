import tree

resource = tree.make("handwound")
