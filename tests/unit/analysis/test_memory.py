"""Memory, held against buffers counted by hand: values of four bytes, one buffer a layer."""

from archspec.analysis.memory import memory
from archspec.ir.graph import Head
from tests.helpers.graphs import Builder


def test_a_chain_needs_two_buffers_at_a_time() -> None:
    b = Builder(10)
    for out in (100, 20, 50):
        b.add(f"to{out}", "linear", out=out, bias=False)
    found = memory(b.graph())
    assert found.outputs == (40, 400, 80, 200)
    assert found.alive == (40, 440, 480, 280)
    assert (found.peak, found.peak_node) == (480, 2)
    assert found.training == 720
    assert found.params == 4 * (1000 + 2000 + 1000)


def test_a_skipped_connection_stays_alive() -> None:
    b = Builder(4, 5, 5)  # 400 bytes
    first = b.add("first", "relu")
    b.add("second", "relu")
    b.add("third", "relu")
    b.add("sum", "add", first, 3)
    b.add("last", "relu")
    found = memory(b.graph())
    # first outlives second and third; at the sum: first, third and the sum itself
    assert found.alive == (400, 800, 800, 1200, 1200, 800)
    assert found.peak == 1200


def test_an_output_stays_alive_to_the_end() -> None:
    b = Builder(100)
    main = b.add("main", "linear", out=25, bias=False)
    b.add("between", "linear", 0, out=10, bias=False)
    other = b.add("other", "linear", out=1, bias=False)
    graph = b.graph(Head("main", main), Head("other", other))
    assert memory(graph).alive == (400, 500, 540, 144)


def test_train_only_heads_and_unused_layers() -> None:
    b = Builder(100)
    main = b.add("main", "linear", out=25, bias=False)
    aux = b.add("aux", "linear", 0, out=1000, bias=False)
    b.add("unused", "linear", 0, out=10_000, bias=False)
    found = memory(b.graph(Head("main", main), Head("aux", aux, train_only=True)))
    assert found.peak == 4 * 125
    assert found.training == 4 * (100 + 25 + 1000)
    assert found.params == 4 * 2500
    assert found.alive == (400, 500, 0, 0)


def test_activations_grow_with_the_batch_and_parameters_do_not() -> None:
    b = Builder(3, 8, 8)
    b.add("conv", "conv", out=8, kernel=3)
    b.add("norm", "batch_norm")
    one, many = memory(b.graph()), memory(b.graph(), batch=7)
    assert (many.peak, many.training) == (7 * one.peak, 7 * one.training)
    assert (
        (one.params, one.running_stats)
        == (many.params, many.running_stats)
        == (4 * (216 + 8 + 16), 4 * 16)
    )


def test_a_network_without_layers_holds_its_input() -> None:
    found = memory(Builder(5).graph(Head("main", 0)))
    assert (found.peak, found.training, found.params) == (20, 20, 0)
