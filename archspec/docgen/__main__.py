"""Write every generated file of the checkout in the current folder: `python -m archspec.docgen`."""

from pathlib import Path

from archspec.docgen.pages import generated

if __name__ == "__main__":
    for name, text in generated(Path()).items():
        Path(name).write_text(text, encoding="utf-8")
        print(name)
