"""Sessions in signed cookies."""

from checks.client import check, same


@check("sessions")
def session_counts_visits(server):
    cookies = ""
    for visits in (1, 2, 3):
        answer = server.ask("GET", "/session", headers={"Cookie": cookies} if cookies else {})
        same({"visits": visits}, answer.json())
        cookies = answer.cookies()


@check("sessions")
def session_of_another_client_is_another(server):
    server.get("/session").json()
    same({"visits": 1}, server.get("/session").json())


@check("sessions")
def forged_session_is_a_new_one(server):
    name, _, value = server.get("/session").cookies().partition("=")
    middle = len(value) // 2
    forged = value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    same({"visits": 1}, server.ask("GET", "/session", headers={"Cookie": f"{name}={forged}"}).json())
