from engine.events import Cost, IntrospectionCosts, RunEnded
from engine.report.introspection import Costs


def told(model: str, **methods: Cost) -> IntrospectionCosts:
    return IntrospectionCosts(time=0, model=model, methods=methods)


def test_costs_are_summed_over_all_times_that_a_run_was_taken_up() -> None:
    costs = Costs()
    events = (
        told("a", x=Cost(n_asked=5, n_computed=2, compute_s=0.5)),
        told("b", y=Cost(n_asked=1, n_computed=1, compute_s=0.25)),
        RunEnded(time=1),
        told("a", x=Cost(n_asked=1), z=Cost(n_asked=2, n_computed=1, compute_s=2.0)),
    )
    assert tuple(costs.passing(events)) == events
    a, b = costs.asked()
    assert (a.model, a.n_asked, a.n_computed, a.compute_s) == ("a", 8, 3, 2.5)
    assert list(a.methods) == ["z", "x"]
    assert a.methods["x"] == Cost(n_asked=6, n_computed=2, compute_s=0.5)
    assert (b.model, b.n_asked) == ("b", 1)


def test_a_run_without_questions_has_no_costs() -> None:
    costs = Costs()
    assert list(costs.passing([RunEnded(time=1)]))
    assert costs.asked() == ()
