"""The import guards, each tried in a fresh interpreter: what is imported once cannot be imported anew."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import dnw_graph

REPOSITORY = Path(dnw_graph.__file__).parents[1]
Interpreter = Callable[..., str]


@pytest.fixture
def interpreter(tmp_path: Path) -> Interpreter:
    """Run code in a new interpreter and return what it prints; given `fakes`, it sees no other packages."""

    def run(code: str, *, fakes: dict[str, str] | None = None, **environment: str) -> str:
        for name, text in (fakes or {}).items():
            file = tmp_path / "packages" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text))
        inherited = {name: value for name, value in os.environ.items() if name != "DGLBACKEND"}
        path = os.pathsep.join([str(REPOSITORY), str(tmp_path / "packages")])
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                *(["-S"] if fakes is not None else []),
                "-c",
                textwrap.dedent(code),
            ],
            env={**inherited, "PYTHONPATH": path, "HOME": str(tmp_path / "home"), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


PRINT_ERROR = """
    from dnw_graph.dependencies import load_dgl, load_pyg, load_torchvision
    from dnw_graph.errors import InputError
    try:
        {call}
    except InputError as error:
        print(error)
"""


def test_importing_the_guards_imports_nothing_heavy(interpreter: Interpreter) -> None:
    code = """
        import sys
        import dnw_graph.dependencies
        print(sorted({"torch", "dgl", "torchvision", "numpy"} & set(sys.modules)))
    """
    assert interpreter(code) == "[]"


@pytest.mark.needs_dgl
def test_dgl_passes_messages_without_a_warning_or_a_file_in_home(
    interpreter: Interpreter, tmp_path: Path
) -> None:
    code = """
        from dnw_graph.dependencies import load_dgl
        dgl = load_dgl()
        import torch
        graph = dgl.graph((torch.tensor([0, 1]), torch.tensor([1, 2])))
        graph.ndata["h"] = torch.tensor([5.0, 7.0, 0.0])
        graph.edata["w"] = torch.tensor([2.0, 3.0])
        graph.update_all(dgl.function.u_mul_e("h", "w", "m"), dgl.function.sum("m", "z"))
        print(graph.ndata["z"].tolist(), load_dgl() is dgl)
    """
    assert interpreter(code) == "[0.0, 10.0, 21.0] True"
    assert not (tmp_path / "home").exists()


@pytest.mark.needs_dgl
def test_torchvision_works_and_dgl_after_it(interpreter: Interpreter) -> None:
    code = """
        from dnw_graph.dependencies import load_dgl, load_pyg, load_torchvision
        torchvision = load_torchvision()
        import torch
        from torchvision.transforms import v2
        images = v2.CenterCrop(2)(torch.arange(16.0).reshape(1, 1, 4, 4))
        logits = torchvision.models.shufflenet_v2_x0_5(num_classes=3).eval()(torch.zeros(1, 3, 32, 32))
        print(images.flatten().tolist(), tuple(logits.shape), load_dgl().graph(([0], [1])).num_edges())
    """
    assert interpreter(code) == "[5.0, 6.0, 9.0, 10.0] (1, 3) 1"


FAKE_TORCH = {"torch/__init__.py": "__version__ = '2.13.0+cpu'\n"}
FAKE_DGL_2 = {
    **FAKE_TORCH,
    "dgl/__init__.py": "from dgl import graphbolt\n",
    "dgl/graphbolt/__init__.py": "real = True\n",
}
PRINT_GRAPHBOLT = """
    from dnw_graph.dependencies import load_dgl
    graphbolt = load_dgl().graphbolt
    try:
        print(graphbolt.real)
    except AttributeError as error:
        print(error)
"""


def test_graphbolt_is_replaced_where_its_library_has_another_torch(interpreter: Interpreter) -> None:
    fakes = FAKE_DGL_2 | {
        "dgl/graphbolt/libgraphbolt_pytorch_2.2.1.so": "",
        "torchdata/datapipes/__init__.py": "",
    }
    assert interpreter(PRINT_GRAPHBOLT, fakes=fakes).startswith("dgl.graphbolt.real is not available")


def test_graphbolt_is_replaced_where_torchdata_has_no_datapipes(interpreter: Interpreter) -> None:
    fakes = FAKE_DGL_2 | {"dgl/graphbolt/libgraphbolt_pytorch_2.13.0.so": "", "torchdata/__init__.py": ""}
    assert interpreter(PRINT_GRAPHBOLT, fakes=fakes).startswith("dgl.graphbolt.real is not available")


def test_graphbolt_is_kept_where_it_loads(interpreter: Interpreter) -> None:
    fakes = FAKE_DGL_2 | {
        "dgl/graphbolt/libgraphbolt_pytorch_2.13.0.so": "",
        "torchdata/__init__.py": "",
        "torchdata/datapipes/__init__.py": "",
    }
    assert interpreter(PRINT_GRAPHBOLT, fakes=fakes) == "True"


def test_no_graphbolt_is_made_up_for_a_dgl_without_it(interpreter: Interpreter) -> None:
    code = """
        import sys
        from dnw_graph.dependencies import load_dgl
        load_dgl()
        print("dgl.graphbolt" in sys.modules)
    """
    assert interpreter(code, fakes={"dgl/__init__.py": ""}) == "False"


def test_the_known_fault_of_dgls_docstrings_is_silent(interpreter: Interpreter) -> None:
    fakes = {"dgl/__init__.py": "'\\P'\nprint('imported')\n"}
    code = "from dnw_graph.dependencies import load_dgl; load_dgl()"
    assert interpreter(code, fakes=fakes) == "imported"


# A torch that ends the process where an operator is defined twice, and raises where a fake kernel has none.
FAKE_REGISTRY = {
    "torch/__init__.py": "from torch import library, ops\n",
    "torch/ops.py": """
        import os
        from types import SimpleNamespace
        torchvision = SimpleNamespace()
        def load_library(path):
            if not os.path.getsize(path):
                raise OSError(f"{path}: undefined symbol")
            if hasattr(torchvision, "nms"):
                os.abort()
            torchvision.nms = path.rsplit("/", 1)[1]
    """,
    "torch/library.py": """
        from torch import ops
        def register_fake(name, /):
            def register(kernel):
                if not hasattr(ops.torchvision, name.removeprefix("torchvision::")):
                    raise RuntimeError(f"operator {name} does not exist")
                print("fake kernel of", ops.torchvision.nms)
                return kernel
            return register
    """,
}
FAKE_TORCHVISION = """
    from pathlib import Path
    import torch
    try:
        torch.ops.load_library(str(Path(__file__).parent / "LIBRARY"))
    except OSError:
        pass
    @torch.library.register_fake("torchvision::nms")
    def nms_shape():
        return "shape"
    print("imported", nms_shape())
"""


@pytest.mark.parametrize("library", ["_C.so", "_C_stable.so", "any_other_name.so"])
@pytest.mark.parametrize("loads", [True, False])
def test_torchvision_is_imported_whatever_its_library_is_called_and_whether_or_not_it_loads(
    interpreter: Interpreter, library: str, loads: bool
) -> None:
    """What the library defines is defined once, and its fake kernels are registered; others are left out."""
    fakes = FAKE_REGISTRY | {
        "torchvision/__init__.py": FAKE_TORCHVISION.replace("LIBRARY", library),
        f"torchvision/{library}": "loads" if loads else "",
    }
    code = """
        import torch
        from dnw_graph.dependencies import load_torchvision
        before = torch.library.register_fake
        module = load_torchvision()
        print(load_torchvision() is module, torch.library.register_fake is before)
    """
    registered = [f"fake kernel of {library}"] if loads else []
    assert interpreter(code, fakes=fakes).splitlines() == [*registered, "imported shape", "True True"]


def test_torchvision_that_cannot_be_imported_leaves_torch_as_it_was(interpreter: Interpreter) -> None:
    fakes = FAKE_REGISTRY | {"torchvision/__init__.py": "raise RuntimeError('built for another torch')\n"}
    code = (
        PRINT_ERROR.format(call="load_torchvision()")
        + """
    import torch
    print(torch.library.register_fake.__module__)
    """
    )
    message, function_of = interpreter(code, fakes=fakes).splitlines()
    assert message.startswith("The installed torchvision cannot be loaded (built for another torch); ")
    assert function_of == "torch.library"


@pytest.mark.parametrize("package", ["dgl", "torchvision"])
def test_missing_package_is_one_sentence_with_the_fix(interpreter: Interpreter, package: str) -> None:
    message = interpreter(PRINT_ERROR.format(call=f"load_{package}()"), fakes={})
    assert message.startswith(f"{package}, which dnw-graph needs, is not installed")
    assert message.endswith(f"run `pip install {package}`.")
    assert "\n" not in message


def test_pyg_is_missed_by_what_needs_it(interpreter: Interpreter) -> None:
    message = interpreter(PRINT_ERROR.format(call="load_pyg()"), fakes={})
    assert message.startswith("torch_geometric, which dg.to_pyg needs, is not installed")
    assert message.endswith("run `pip install torch_geometric`.")


def test_warnings_of_pyg_itself_stay_its_own(interpreter: Interpreter) -> None:
    code = """
        import warnings
        warnings.simplefilter("error")
        from dnw_graph.dependencies import load_pyg
        print(load_pyg().__name__)
    """
    fakes = {"torch_geometric/__init__.py": "import warnings\nwarnings.warn('old', DeprecationWarning)\n"}
    assert interpreter(code, fakes=fakes) == "torch_geometric"


def test_python_without_a_dgl_wheel_is_named(interpreter: Interpreter) -> None:
    code = """
        import sys
        from types import SimpleNamespace
        from dnw_graph import dependencies
        dependencies.sys = SimpleNamespace(version_info=(3, 13, 0))
        try:
            dependencies.load_dgl()
        except dependencies.InputError as error:
            print(error)
    """
    assert interpreter(code, fakes={}) == (
        "DGL has no wheel for Python 3.13; use Python 3.10, 3.11 or 3.12, or what needs no DGL: "
        "the other backends, GraphML, npz and node-link files, dg.to_networkx, dg.to_pyg."
    )


def test_what_an_extra_lacks_is_named_with_the_fix(interpreter: Interpreter) -> None:
    code = """
        from dnw_graph.dependencies import missing_of
        print(missing_of("figures"))
        print(missing_of("tensorboard"))
    """
    assert interpreter(code, fakes={"matplotlib/__init__.py": ""}).splitlines() == [
        "None",
        "tensorboard is not installed; run `pip install 'dnw-graph[tensorboard]'`",
    ]


def test_a_figure_without_matplotlib_is_refused_in_one_sentence(interpreter: Interpreter) -> None:
    code = """
        from pathlib import Path
        from dnw_graph.errors import InputError
        from dnw_graph.figures.kinds import check_request
        try:
            check_request("adjacency", Path("a.png"), other=False)
        except InputError as error:
            print(error)
    """
    assert interpreter(code, fakes={}) == (
        "--kind adjacency cannot be drawn: matplotlib is not installed; "
        "run `pip install 'dnw-graph[figures]'`"
    )


def test_what_dgl_itself_misses_is_named(interpreter: Interpreter) -> None:
    message = interpreter(PRINT_ERROR.format(call="load_dgl()"), fakes={"dgl/__init__.py": "import pandas\n"})
    assert message.startswith("pandas, which dgl needs, is not installed")


def test_a_broken_package_is_one_sentence(interpreter: Interpreter) -> None:
    fakes = {"dgl/__init__.py": "raise OSError('libdgl.so:\\nwrong ELF class')\n"}
    message = interpreter(PRINT_ERROR.format(call="load_dgl()"), fakes=fakes)
    assert message.startswith("The installed dgl cannot be loaded (libdgl.so: wrong ELF class); ")
    assert "\n" not in message


@pytest.mark.needs_dgl
def test_another_dgl_backend_is_refused(interpreter: Interpreter) -> None:
    message = interpreter(PRINT_ERROR.format(call="load_dgl()"), DGLBACKEND="mxnet")
    assert message.startswith("DGLBACKEND=mxnet: ")
