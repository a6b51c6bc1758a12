"""The form of bodies: steps, branches, repeats and tables, before any argument has a value."""

from __future__ import annotations

import pytest

from archspec.frontend.files import shipped_folder
from tests.helpers.language import found, good, layers, marked, net, outline, read, the

# What a step can be


@pytest.mark.parametrize(
    "step",
    [
        "relu",
        "'relu'",
        "relu:",
        "{relu: }",
        "{relu: {}}",
        "{relu: ~}",
        "{relu: null, name: ~, when: ~}",
    ],
)
def test_a_step_without_arguments_is_written_in_many_ways(step: str) -> None:
    assert outline(good(net(f"- {step}"))) == outline(good(net("- relu")))


def test_the_keys_of_a_step_stand_in_any_order() -> None:
    one = good(net("- {name: a, conv: {out: 4, kernel: 3}, output: 6x6x4}"))
    other = good(net("- {output: 6x6x4, conv: {kernel: 3, out: 4}, name: a}"))
    assert outline(one) == outline(other)


@pytest.mark.parametrize(
    ("step", "code", "mark", "message", "help"),
    [
        ("3", "AS0204", "3", "a step is an op's name or a mapping, found int `3`", "as in"),
        ("~", "AS0204", "~", "found nothing", "as in"),
        ("[relu]", "AS0204", "[relu]", "found a list", "as in"),
        ("rellu", "AS0203", "rellu", "unknown op or block `rellu`", "did you mean `relu`?"),
        ("{convolution: {out: 3}}", "AS0203", "convolution", "unknown op or block `convolution`", "did you mean `conv`?"),
        ("blorp", "AS0203", "blorp", "unknown op or block `blorp`", "`archspec ops` lists the ops"),
        ("{max_pool: 2}", "AS0204", "2", "the arguments of `max_pool` are a mapping", "write `max_pool: {kernel: 2}`"),
        ("{dropout: 0.5}", "AS0204", "0.5", "the arguments of `dropout` are a mapping", "write `dropout: {rate: 0.5}`"),
        ("{leaky_relu: 0.2}", "AS0204", "0.2", "the arguments of `leaky_relu` are a mapping", "write `leaky_relu: {slope: 0.2}`"),
        ("{conv: {out: 4, kernel: 1, name: a}}", "AS0202", "name", "`conv` has no argument `name`", "put it beside `conv`"),
        ("{conv: {out: 4, kernel: 1}, activation: relu}", "AS0202", "activation", "unknown key", "a step of its own, as in `- relu`"),
        ("{relu: , tanh: }", "AS0206", "tanh", "a step names one op or block, found `relu` and `tanh`", "`- `"),
        ("{name: a}", "AS0206", "{name: a}", "found none", "`- `"),
        ("{}", "AS0206", "{}", "found none", "`- `"),
        ("{relu: , nmae: a}", "AS0202", "nmae", "unknown key `nmae` in a step", "did you mean `name`?"),
        ("{conv: {out: 4, kernel: 1}, stride: 2}", "AS0202", "stride", "unknown key `stride` in a step", "put it inside `conv: {...}`"),
        ("{conv: {out: 4, kernal: 3, kernel: 3}}", "AS0202", "kernal", "`conv` has no argument `kernal`", "did you mean `kernel`?"),
        ("{relu: {slope: 1}}", "AS0202", "slope", "`relu` has no argument `slope`", ""),
        ("{conv: 64}", "AS0204", "64", "the arguments of `conv` are a mapping, found int `64`", "write `conv: {name: value}`"),
        ("{conv: [64]}", "AS0204", "[64]", "found a list", "write `conv: {name: value}`"),
        ("{relu: , params: [1]}", "AS0204", "[1]", "the claim `params` is a figure, found a list", ""),
    ],
)  # fmt: skip
def test_a_step_that_is_none(step: str, code: str, mark: str, message: str, help: str) -> None:
    diagnostic = the(net(f"- {step}"), code, mark)
    assert message in diagnostic.message
    assert help in diagnostic.help


@pytest.mark.parametrize("body", ["relu", "{conv: {out: 3, kernel: 1}}", "3"])
def test_a_body_is_a_list(body: str) -> None:
    branch = the(net(f"- add:\n    a: {body}\n    b: []"), "AS0204", body)
    assert branch.message.startswith("a body is a list of steps, found")
    assert "`- `" in branch.help
    the(net("- unit", blocks=f"unit: {{body: {body}}}"), "AS0204", body)


def test_an_empty_body_passes_its_input_on() -> None:
    spec = good(net("- {name: u, unit: }\n- relu", blocks="unit: {body: []}"))
    assert [node.path for node in spec.graph.nodes] == ["input", "relu"]


# Merges


def test_branches_need_two() -> None:
    assert (
        "joins two branches or more, found 1" in the(net("- add: {a: []}"), "AS0311", "add").message
    )
    assert "joins two branches or more, found 0" in the(net("- add: {}"), "AS0311", "add").message
    assert "needs branches, or `from`" in the(net("- add"), "AS0311", "add").message


@pytest.mark.parametrize("branches", ["[relu, tanh]", "relu", "[[relu], [tanh]]"])
def test_branches_have_names(branches: str) -> None:
    assert "map names to bodies" in the(net(f"- concat: {branches}"), "AS0204", branches).message


def test_a_merge_has_branches_or_a_list_of_steps() -> None:
    text = net("- {name: a, relu: }\n- {name: b, tanh: }\n- {add: {x: [], y: []}, from: [a, b]}")
    assert found(text) == [("AS0206", "from"), ("AS0204", "[a, b]")]


# Repeat


@pytest.mark.parametrize(
    ("repeat", "code", "mark", "message"),
    [
        ("3", "AS0204", "3", "`repeat` takes a mapping, found int `3`"),
        ("", "AS0204", "", "`repeat` takes a mapping, found nothing"),
        ("{}", "AS0201", "repeat", "`repeat` has no `times` and no `body`"),
        ("{times: 3}", "AS0201", "repeat", "`repeat` has no `body`"),
        ("{body: [relu]}", "AS0201", "repeat", "`repeat` has no `times`"),
        ("{times: 3, body: [], count: i}", "AS0202", "count", "unknown key `count` in `repeat`"),
        (
            "{times: 3, body: [], as: 3}",
            "AS0204",
            "3",
            "`as` is the counter's name, such as `i`, found int `3`",
        ),
        ("{times: 3, body: [], as: a-b}", "AS0204", "a-b", "`as` is the counter's name"),
        ("{times: 3, body: [], as: n}", "AS0403", "n", "`n` is an argument already"),
        ("{times: 3, body: [], as: in}", "AS0403", "in", "`in` is an argument already"),
    ],
)
def test_a_repeat_that_is_none(repeat: str, code: str, mark: str, message: str) -> None:
    text = net(f"- repeat: {repeat}\n- {{relu: , when: '${{n == 1}}'}}", args="{n: 1}")
    assert the(text, code, mark).message.startswith(message)


# Tables

COLUMNS = "[name, type, out, kernel, output]"


def table(*rows: str, columns: str = COLUMNS) -> str:
    lines = "".join(f"\n      - {row}" for row in rows)
    return net(f"table:\n  columns: {columns}\n  rows:{lines}")


def test_rows_are_steps() -> None:
    rows = table(
        "[a, conv, 4, 3, 6x6x4]",
        "[b, relu, ~, ~, ~]",
        "[~, max_pool, ~, 2, 3x3x4]",
        "[c, conv, 8, 1x3, ~]",
    )
    steps = """
    - {name: a, conv: {out: 4, kernel: 3}, output: 6x6x4}
    - {name: b, relu: }
    - {max_pool: {kernel: 2}, output: 3x3x4}
    - {name: c, conv: {out: 8, kernel: 1x3}}
    """
    assert outline(good(rows)) == outline(good(net(steps)))


def test_the_order_of_columns_does_not_matter() -> None:
    one = table("[a, conv, 4, 3, ~]")
    other = table("[3, conv, a, ~, 4]", columns="[kernel, type, name, output, out]")
    assert outline(good(one)) == outline(good(other))


def test_a_table_is_a_step_as_well_and_holds_steps_between_its_rows() -> None:
    inside = """
    - relu
    - table:
        columns: [name, type, out, kernel]
        rows:
          - [a, conv, 4, 3]
          - {name: n, lrn: {size: 5}}
          - sigmoid
          - [b, conv, 4, 3]
    - tanh
    """
    steps = """
    - relu
    - {name: a, conv: {out: 4, kernel: 3}}
    - {name: n, lrn: {size: 5}}
    - sigmoid
    - {name: b, conv: {out: 4, kernel: 3}}
    - tanh
    """
    assert outline(good(net(inside))) == outline(good(net(steps)))


def test_a_blocks_arguments_are_columns_by_the_papers_names() -> None:
    blocks = """
    unit:
      args: {"#3x3 reduce": int, patch/stride: patch, pool proj: "int = 2"}
      body:
        - conv: {out: "${#3x3 reduce}", kernel: 1}
        - conv: {out: "${pool proj}", kernel: $patch/stride.kernel, stride: $patch/stride.stride}
    """
    rows = """
    table:
      columns: [type, patch/stride, "#3x3 reduce", pool proj]
      rows:
        - [unit, 3x3/2, 8, ~]
        - [unit, 1x1/1, 4, 6]
    """
    spec = good(net(rows, blocks=blocks))
    assert [node.shape for node in spec.graph.nodes[1:]] == [
        (8, 8, 8),
        (2, 3, 3),
        (4, 3, 3),
        (6, 3, 3),
    ]


def test_cells_hold_expressions_lists_and_sources() -> None:
    text = net(
        """
        table:
          columns: [name, type, from, when, out, kernel, padding]
          rows:
            - [a, conv, ~, ~, $n, 3, [1, [0, 2]]]
            - [b, conv, input, "${n > 3}", "${2 * n}", 3, 1]
            - [c, conv, input, "${n > 9}", 1, 1, ~]
            - [d, concat, [a, b], ~, ~, ~, ~]
        """,
        args="{n: 4}",
    )
    graph = good(text).graph
    assert [(node.name, node.inputs, node.shape) for node in graph.nodes[1:]] == [
        ("a", (0,), (4, 8, 8)), ("b", (0,), (8, 8, 8)), ("d", (1, 2), (12, 8, 8)),
    ]  # fmt: skip


def test_a_row_has_a_cell_for_every_column() -> None:
    diagnostic = the(table("[a, conv, 4, 3]"), "AS0208", "[a, conv, 4, 3]")
    assert diagnostic.message == "the row has 4 cells, the table 5 columns"
    assert "`~`" in diagnostic.help
    assert [(note.text, marked(note.span)) for note in diagnostic.notes if note.span] == [
        ("columns", COLUMNS)
    ]
    assert (
        the(table("[a, conv, 4, 3, ~, 9]"), "AS0208", "[a, conv, 4, 3, ~, 9]").help
        == "remove a cell, or name its column"
    )
    assert the(table("[]"), "AS0208", "[]").message == "the row has 0 cells, the table 5 columns"


def test_a_cell_whose_row_does_not_know_its_column() -> None:
    diagnostic = the(table("[a, conv, 4, 3, ~]", "[b, max_pool, 64, 2, ~]"), "AS0209", "64")
    assert diagnostic.message == "`max_pool` has no argument `out`, the column of this cell"


def test_a_column_that_no_row_could_fill() -> None:
    columns = "[name, type, out, kernel, kernal]"
    diagnostic = the(
        table("[a, conv, 4, 3, ~]", "[b, relu, ~, ~, ~]", columns=columns), "AS0209", "kernal"
    )
    assert diagnostic.help == "did you mean `kernel`?"
    good(
        table(
            "[a, conv, 4, 3, ~]", "[b, relu, ~, ~, ~]", columns="[name, type, out, kernel, stride]"
        )
    )
    good(table(columns="[type, anything]").replace("rows:", "rows: []"))


@pytest.mark.parametrize(
    ("rows", "columns", "code", "mark", "message"),
    [
        (
            "[a, ~, 4, 3, ~]",
            COLUMNS,
            "AS0203",
            "~",
            "the cell `type` names an op or block, found nothing",
        ),
        ("[a, [conv], 4, 3, ~]", COLUMNS, "AS0203", "[conv]", "found a list"),
        ("[a, repeat, ~, ~, ~]", COLUMNS, "AS0203", "repeat", "names an op or block"),
        ("[a, table, ~, ~, ~]", COLUMNS, "AS0203", "table", "names an op or block"),
        ("[a, convv, 4, 3, ~]", COLUMNS, "AS0203", "convv", "unknown op or block `convv`"),
        ("[a, conv]", "[name, typ]", "AS0201", "[name, typ]", "a table needs a column `type`"),
        ("[a, conv, 1]", "[name, type, name]", "AS0403", "name", "two columns are called `name`"),
        ("[a, conv]", "[name, [type]]", "AS0204", "[type]", "a column has a name, found a list"),
        ("[a, conv]", "[name, ~]", "AS0204", "~", "a column has a name, found nothing"),
        (
            "[a, conv, 3]",
            "{a: b}",
            "AS0201",
            "table",
            "a table has `columns` and `rows`, two lists",
        ),
    ],
)
def test_a_table_that_is_none(rows: str, columns: str, code: str, mark: str, message: str) -> None:
    assert message in the(table(rows, columns=columns), code, mark).message


def test_a_table_takes_no_keys_of_a_step() -> None:
    text = net("- {name: t, when: false, table: {columns: [type], rows: [[relu]], order: 1}}")
    assert found(text) == [("AS0202", "name"), ("AS0202", "when"), ("AS0202", "order")]


# One run finds them all, and each once


def test_eight_mistakes_are_eight_errors() -> None:
    text = net(
        """
        - {name: a, conv: {out: 0, kernel: 3, padding: 1}, output: 8x8x4}
        - convv: {out: 3}
        - {name: b, conv: {out: 4, kernel: 3, strid: 2}, output: 8x8x4, from: aa}
        - {conv: {kernel: 1, out: "${4 / 3}"}, from: input}
        - {relu: , from: input, name: a}
        - {relu: , tanh: }
        - {linear: {out: 3}, from: input, nam: x}
        """,
        heads="{side: {loss: mse}}",
    )
    assert found(text) == [
        ("AS0406", "side"), ("AS0205", "0"), ("AS0203", "convv"), ("AS0202", "strid"), ("AS0402", "aa"), ("AS0504", '"${4 / 3}"'),
        ("AS0403", "a"), ("AS0206", "tanh"), ("AS0306", "linear"), ("AS0202", "nam"),
    ]  # fmt: skip


def test_a_typo_is_one_error() -> None:
    """A misspelt argument is not missing as well, and a misspelt column not wrong in every row."""
    assert found(net("- conv: {out: 4, kernal: 3}")) == [("AS0202", "kernal")]
    assert found(
        net("- u: {otu: 4}", blocks="u: {args: [out], body: [{conv: {out: $out, kernel: 1}}]}")
    ) == [("AS0202", "otu")]
    text = (shipped_folder() / "googlenet.yaml").read_text()
    for right, wrong in (
        ("type, patch/stride,", "type, pach/stride,"),
        ('"#5x5 reduce", "#5x5", pool proj, out', '"#5x5 redus", "#5x5", pool proj, out'),
    ):
        assert text.count(right) == 1
        assert [code for code, _ in found(text.replace(right, wrong))] == ["AS0209"]


def test_the_rows_of_an_unknown_column_are_checked_where_they_can_be() -> None:
    columns = "[name, type, out, kernal, stride]"
    assert found(table("[a, conv, 0, 3, ~]", "[b, max_pool, ~, 2, 0]", "[c, relu, 3, ~, ~]", columns=columns)) == [
        ("AS0209", "kernal"), ("AS0209", "3"),
    ]  # fmt: skip


def test_a_mistake_in_a_block_is_reported_whether_or_not_it_is_used() -> None:
    blocks = "unused: {body: [rellu, {conv: {outt: 3}}]}"
    assert found(net(blocks=blocks)) == [("AS0203", "rellu"), ("AS0202", "outt")]


def test_what_depends_on_a_lost_step_stays_silent() -> None:
    text = net(
        """
        - {name: a, convv: {out: 3}}
        - {name: b, relu: , from: a}
        - linear: {out: 3}
        - {add: , from: [a, b]}
        """
    )
    assert found(text) == [("AS0203", "convv")]


def test_a_lost_row_keeps_its_name_and_silences_its_head() -> None:
    text = table("[a, conv, 4]", "{name: b, relu: , from: a}") + "heads: {side: {loss: mse}}\n"
    assert found(text) == [("AS0208", "[a, conv, 4]")]


def test_a_head_hangs_on_a_lost_step() -> None:
    text = net("- {name: a, convv: {}, aux: side}", heads="{side: {loss: mse}}")
    assert found(text) == [("AS0203", "convv")]


def test_the_output_of_a_lost_step_lets_reading_go_on() -> None:
    text = net("- {convv: {}, output: 8x8x4}\n- {name: b, conv: {out: 4, kernel: 9}}")
    assert found(text) == [("AS0203", "convv"), ("AS0304", "9")]


def test_a_broken_value_inside_a_list_is_reported_once() -> None:
    assert found(net("- conv: {out: 4, kernel: [$k, 3]}")) == [("AS0401", "k")]
    assert found(net(input="[3, $h, 8]")) == [("AS0401", "h")]
    assert found(net(heads="main: {classes: $c}")) == [("AS0401", "c")]


def test_errors_stop_where_they_teach_nothing_more() -> None:
    _, diagnostics = read(net("\n".join(f"- op{i}" for i in range(500))))
    assert len(diagnostics) == 200


def test_equal_networks_written_apart_are_equal_layers() -> None:
    assert layers(good(net("- {name: a, relu: }"))) == layers(good(net("- {name: b, relu: }")))
    assert layers(good(net("- relu"))) != layers(good(net("- tanh")))
