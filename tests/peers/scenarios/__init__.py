"""What is measured: a scenario a name, in the order of the report."""

from scenarios import growth, idle, load, mixed, soak, start, tls

ALL = [*load.TUTORIAL, *mixed.ALL, *load.OTHERS, *idle.ALL, *growth.ALL, *soak.ALL, *tls.ALL, *start.ALL]
BY_NAME = {one.name: one for one in ALL}
