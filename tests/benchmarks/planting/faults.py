"""All faults, each a single replacement in one file."""

from tests.benchmarks.planting.fault import Fault
from tests.benchmarks.planting.training_faults import TRAIN, TRANSFER

DATA = (
    Fault(
        "the mean and standard deviation of the pixels are off by 255/256",
        "helpers/data/structures.py",
        "values = torch.arange(256, dtype=torch.float64) / 255",
        "values = torch.arange(256, dtype=torch.float64) / 256",
        ("tests/data/test_structures.py",),
    ),
    Fault(
        "labels are numbered anew when classes are selected",
        "helpers/data/structures.py",
        "        return self.subset(torch.isin(self.labels, wanted))",
        "        chosen = self.subset(torch.isin(self.labels, wanted))\n"
        "        return replace(chosen, labels=torch.searchsorted(wanted.sort().values, chosen.labels))",
        ("tests/data/test_structures.py",),
    ),
    Fault(
        "validation images are training images, too",
        "helpers/data/splitting.py",
        "return self.keep(~held_out), self.keep(held_out)",
        "return self, self.keep(held_out)",
        ("tests/data/test_splitting.py",),
    ),
    Fault(
        "images that a split leaves over are lost",
        "helpers/data/splitting.py",
        "return self.keep(~held_out), self.keep(held_out)",
        "stay = (~held_out).nonzero().squeeze(1)\n"
        "        return self.keep(stay[: int((1 - fraction) * len(held_out))]), self.keep(held_out)",
        ("tests/data/test_splitting.py",),
    ),
    Fault(
        "a class's share is rounded down",
        "helpers/data/splitting.py",
        "round(fraction * len(members))",
        "int(fraction * len(members))",
        ("tests/data/test_splitting.py",),
    ),
    Fault(
        "the split ignores classes",
        "helpers/data/splitting.py",
        "    by_class = order[torch.argsort(labels[order], stable=True)]",
        "    by_class = order",
        ("tests/data/test_splitting.py",),
    ),
    Fault(
        'class folders are sorted as text, "10" before "2"',
        "helpers/data/folder.py",
        "for name in sorted(names, key=natural_order)]",
        "for name in sorted(names)]",
        ("tests/data/test_folder.py",),
    ),
    Fault(
        "grey is the plain mean of red, green and blue",
        "helpers/data/loading.py",
        "luma = torch.tensor([0.299, 0.587, 0.114])",
        "luma = torch.tensor([1 / 3, 1 / 3, 1 / 3])",
        ("tests/data/test_loading.py",),
    ),
    Fault(
        "images are made smaller without antialiasing",
        "helpers/data/loading.py",
        "antialias=True",
        "antialias=False",
        ("tests/data/test_loading.py",),
    ),
    Fault(
        "an IDX file is unpacked as far as it goes",
        "helpers/data/idx.py",
        "    if stream.read(1):",
        "    if stream.read():",
        ("tests/data/test_idx.py",),
    ),
)

MODELS = (
    Fault(
        "a file of weights may run code",
        "helpers/models/weights.py",
        'state = torch.load(path, map_location="cpu", weights_only=True)',
        'state = torch.load(path, map_location="cpu", weights_only=False)',
        ("tests/models/test_weights.py",),
    ),
    Fault(
        "pixels are normalised as if they were 0 to 1, though they are 0 to 255",
        "helpers/models/layers.py",
        "scaled = images if images.is_floating_point() else images.float() / 255",
        "scaled = images.float()",
        ("tests/test_models.py",),
    ),
)

EVALUATE = (
    Fault(
        "accuracy is taken over the wrong axis",
        "helpers/evaluate/metrics.py",
        "    return float(np.mean(scores.argmax(axis=1) == truth))",
        "    return float(np.mean(scores.argmax(axis=0)[truth] == truth))",
        ("tests/test_evaluate.py",),
    ),
    Fault(
        "rows and columns of the confusion matrix are exchanged",
        "helpers/evaluate/metrics.py",
        "pairs = truth * size + scores.argmax(axis=1)",
        "pairs = scores.argmax(axis=1) * size + truth",
        ("tests/test_evaluate.py",),
    ),
    Fault(
        "a mistake's share is that of the predicted class",
        "helpers/evaluate/metrics.py",
        "counts.sum(axis=1)[rows]",
        "counts.sum(axis=0)[columns]",
        ("tests/test_evaluate.py",),
    ),
    Fault(
        "the precision of a class without images is 0, not undefined",
        "helpers/evaluate/metrics.py",
        "np.where(support > 0, values, np.nan)",
        "np.where(support > 0, values, 0.0)",
        ("tests/test_evaluate.py",),
    ),
    Fault(
        "data set B is scored over its own logits alone",
        "helpers/evaluate/metrics.py",
        "float(np.mean(predictions[inside] == truth[inside]))",
        "float(np.mean(np.array(members)[scores[inside][:, list(members)].argmax(axis=1)] == truth[inside]))",
        ("tests/test_evaluate.py",),
    ),
    Fault(
        "undefined classes count as 0 in the macro average of ROC",
        "helpers/evaluate/roc_curves.py",
        "float(np.mean([curve.auc for curve in defined]))",
        "float(np.nan_to_num([curve.auc for curve in curves]).mean())",
        ("tests/test_evaluate.py",),
    ),
    Fault(
        "the standard deviation over seeds is divided by n",
        "helpers/evaluate/histories.py",
        "runs.std(ddof=1)",
        "runs.std(ddof=0)",
        ("tests/test_evaluate.py",),
    ),
    Fault(
        "of equal epochs the last one is the best",
        "helpers/evaluate/histories.py",
        "values.index[int(np.argmax(values.to_numpy()))]",
        "values.index[len(values) - 1 - int(np.argmax(values.to_numpy()[::-1]))]",
        ("tests/test_evaluate.py",),
    ),
)

FILES = (
    Fault(
        "files are written in their place",
        "helpers/files.py",
        '        with open(temporary, "wb") as stream:\n'
        "            yield stream\n"
        "            stream.flush()\n"
        "            os.fsync(stream.fileno())\n"
        "        os.replace(temporary, path)\n",
        '        with open(path, "wb") as stream:\n            yield stream\n',
        ("tests/test_files.py",),
    ),
    Fault(
        "a file takes its place before it is on the disk",
        "helpers/files.py",
        "            stream.flush()\n            os.fsync(stream.fileno())\n",
        "",
        ("tests/test_files.py",),
    ),
    Fault(
        "a lock lets a second process in",
        "helpers/files.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        ("tests/test_files.py",),
    ),
)

DOWNLOADS = (
    Fault(
        "another part of a file than was asked for is put behind what is there",
        "helpers/downloads.py",
        "fits = match and _number(match[1]) == part.size",
        "fits = match is not None",
        ("tests/test_downloads.py",),
    ),
    Fault(
        "a server is asked for the version that another one named",
        "helpers/downloads.py",
        'return version if source == url else ""',
        "return version",
        ("tests/test_downloads.py",),
    ),
    Fault(
        "a page that stands in for a file is read, though its length tells",
        "helpers/downloads.py",
        "(announced <= MAX_BYTES if expected is None else announced == expected)",
        "announced <= MAX_BYTES",
        ("tests/test_downloads.py",),
    ),
    Fault(
        "what has come of a file is dropped when its server breaks off",
        "helpers/downloads.py",
        "            failure, hopeless = error, part.size <= begun\n",
        "            failure, hopeless = error, part.size <= begun\n            part.restart()\n",
        ("tests/test_downloads.py",),
    ),
    Fault(
        "a download is taken whatever its sum",
        "helpers/downloads.py",
        "return complete and self._sum.hexdigest().startswith(self.expected.digest)",
        "return complete",
        ("tests/test_downloads.py", "tests/data/test_fetch.py"),
    ),
    Fault(
        "an archive may write outside its folder",
        "helpers/data/fetch.py",
        'if path.is_absolute() or ".." in path.parts or "\\\\" in member.name:',
        "if path.is_absolute():",
        ("tests/data/test_fetch.py", "tests/test_untrusted.py"),
    ),
    Fault(
        "an archive may hold links and devices",
        "helpers/data/fetch.py",
        "if member.issparse() or not (member.isfile() or member.isdir()):",
        "if member.issparse():",
        ("tests/data/test_fetch.py", "tests/test_untrusted.py"),
    ),
    Fault(
        "an archive may unpack to more than its members say",
        "helpers/data/fetch.py",
        "        if self._left < 0:\n            raise _too_large(self._limit)\n",
        "",
        ("tests/data/test_fetch.py", "tests/test_untrusted.py"),
    ),
)

REPORT = (
    Fault(
        "an unknown parameter of a profile is passed over",
        "helpers/report/parameters.py",
        "    given = _read_yaml(file)\n",
        "    given = {name: value for name, value in _read_yaml(file).items() if name in known}\n",
        ("tests/report/test_parameters.py",),
    ),
    Fault(
        "an unknown parameter of the command line is passed over",
        "helpers/report/parameters.py",
        "    if not takers:\n",
        "    if not known:\n",
        ("tests/report/test_parameters.py",),
    ),
    Fault(
        "the exit status is 0 though a notebook failed",
        "helpers/report/cli.py",
        "return FAILED if problem or any(outcome.error for outcome in outcomes.values()) else OK",
        "return OK",
        ("tests/report/test_cli.py",),
    ),
    Fault(
        "a run that records nothing is a success",
        "helpers/report/writing.py",
        "    if not recorded:\n",
        "    if recorded is None:\n",
        ("tests/report/test_run.py",),
    ),
    Fault(
        "a number that is not finite is a success",
        "helpers/report/writing.py",
        "return value is not None and math.isfinite(value)",
        "return value is not None",
        ("tests/report/test_run.py",),
    ),
    Fault(
        "a failed run's page takes the place of the last good one",
        "helpers/report/writing.py",
        "                page.replace(last_good)\n",
        "                page.unlink()\n",
        ("tests/report/test_run.py",),
    ),
    Fault(
        "text is not escaped in the PDF's source",
        "helpers/report/pdf/typst_text.py",
        "{printable(text).translate(_ESCAPES)}",
        "{printable(text)}",
        ("tests/report/test_pdf.py",),
    ),
    Fault(
        "a figure's caption is not escaped in HTML",
        "helpers/report/templates/page.html.j2",
        "{{ view.figure.caption }}</figcaption>",
        "{{ view.figure.caption|safe }}</figcaption>",
        ("tests/report/test_html.py",),
    ),
)

FAULTS = (*DATA, *MODELS, *EVALUATE, *TRAIN, *TRANSFER, *FILES, *DOWNLOADS, *REPORT)
