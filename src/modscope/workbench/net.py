"""The workbench: one network with its task, activations, key frequencies, findings and run. It holds no arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import xarray as xr

from modscope import display
from modscope.activations import Activations, record, with_replaced
from modscope.analysis.answer import DEFAULT_RULE, KeyFrequencies, key_frequencies
from modscope.analysis.causes import AblationResult, Mechanism, ablate, ablate_all, ablate_with
from modscope.analysis.overview import MEASURES, Summary, measure_table, summarise
from modscope.analysis.tables import Table
from modscope.boundary import public
from modscope.checkpoints import Checkpoint
from modscope.errors import InputError, ModscopeError, UnknownName
from modscope.findings import Finding, Findings, findings
from modscope.model import Network
from modscope.networks.kinds import described
from modscope.orders import in_order
from modscope.report import Look, checkpoint_facts, report_page
from modscope.runs import Run
from modscope.task import ModularTask
from modscope.viewer import View, show
from modscope.workbench.page import Page

__all__ = ["Net"]


class Net:
    """A network on the workbench. `modscope.open` makes one.

    `net["resid_post"]` is an activation (a, b, feature), before attention (pos, token, feature), or a weight by its name;
    it is computed when first asked for. The functions underneath stay what they are: pure, on `net.acts`.
    """

    def __init__(
        self,
        acts: Activations,
        *,
        checkpoint: Checkpoint | None = None,
        run: Run | None = None,
        epoch: int | None = None,
        keys: str | Sequence[int] | None = None,
    ) -> None:
        self.acts, self.checkpoint, self.run, self.epoch = acts, checkpoint, run, epoch
        self._keys = keys

    # What there is

    @property
    def model(self) -> Network:
        """The network."""
        return self.acts.model

    @property
    def task(self) -> ModularTask:
        """The task: p, the operation, the split."""
        return self.acts.task

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs of the run that this network is of; empty without a run."""
        return self.run.epochs if self.run else ()

    @cached_property
    def key_frequencies(self) -> KeyFrequencies:
        """The key frequencies with the rule that found them."""
        if self._keys is None or isinstance(self._keys, str):
            return key_frequencies(self.acts, self._keys or DEFAULT_RULE)
        return summarise(self.acts, frequencies=self._keys).keys

    @property
    def keys(self) -> tuple[int, ...]:
        """The key frequencies."""
        if self._keys is not None and not isinstance(self._keys, str):
            return tuple(sorted({int(k) for k in self._keys}))
        return self.key_frequencies.frequencies

    @public
    def __getitem__(self, name: str) -> xr.DataArray:
        if name in self.acts:
            return self.acts.at(name) if self.acts.is_joint(name) else self.acts[name]
        short = name.split(".")[-1]
        if self.run is not None and self.acts.has_weight(name) and not self.acts.replaced:
            return self.run.weights(name).sel(epoch=self._epoch_of_run, drop=True)
        if self.acts.network is None:
            raise UnknownName.of("hook", name, self.acts.hooks)
        weights = [full.split(".")[-1] for full in self.model.weights]
        if short in weights:
            weight = self.model.weight(name).detach().cpu().numpy()
            return xr.DataArray(weight, dims=[f"{short}_{i}" for i in range(weight.ndim)], name=short)
        raise UnknownName.of("hook or weight", name, (*self.acts.hooks, *weights))

    @property
    def _epoch_of_run(self) -> int:
        assert self.run is not None
        return self.epoch if self.epoch in self.run.epochs else self.run.epochs[-1]

    # Others like it

    @public
    def at_epoch(self, epoch: int) -> Net:
        """The network of another epoch of the run, with key frequencies found anew unless they were given.

        Raises InputError where there is no run, or an epoch that it has not, which names the nearest.
        """
        if self.run is None:
            raise InputError(f"epoch {epoch}: there is no run behind this network")
        acts = record(self.run.model(epoch), self.run.task)
        return Net(acts, run=self.run, epoch=epoch, keys=self._keys)

    @public
    def with_(self, replace: Mapping[str, Any] | None = None, /, **hooks: Any) -> Net:
        """The same network had some activations been others: `net.with_(pattern="mean", mlp_pre=lambda x: ...)`.

        What stands for an activation: an array or number that broadcasts to it, a function of it, "mean", "linear" or
        "zero" (`modscope.with_replaced`). Names that are no words of Python go into a mapping. The key frequencies stay
        those of the network as it is, so that both are looked at alike.
        """
        changes = {**(replace or {}), **hooks}
        if not changes:
            raise InputError('nothing to replace: expected hooks, as in net.with_(pattern="mean")')
        keys = self._keys if self._keys is not None and not isinstance(self._keys, str) else self.keys
        acts = with_replaced(self.acts, changes)
        return Net(acts, checkpoint=self.checkpoint, run=self.run, epoch=self.epoch, keys=keys or self._keys)

    @public
    def with_keys(self, *keys: int | str) -> Net:
        """The same network with other key frequencies, or another rule to find them: `net.with_keys("embedding_norm")`."""
        chosen = keys[0] if len(keys) == 1 and isinstance(keys[0], str) else [int(k) for k in keys]
        return Net(self.acts, checkpoint=self.checkpoint, run=self.run, epoch=self.epoch, keys=chosen)

    # Looked at

    @public
    def findings(self, *only: str) -> Findings:
        """What the network says to each claim, or to those named; made once and kept."""
        if not only:
            return self._findings
        known = self.__dict__.get("_findings")
        if known is not None:
            return Findings(known[name] for name in only)
        return findings(self.acts, only=only, key_frequencies=self.keys or None)

    @cached_property
    def _findings(self) -> Findings:
        return findings(self.acts, key_frequencies=self.keys or None)

    @public
    def finding(self, name: str) -> Finding:
        """One finding by its id."""
        found: Finding = self.findings(name)[name]
        return found

    @cached_property
    def summary(self) -> Summary:
        """The first look: losses, key frequencies, clusters, logits, energy, evenness, cautions."""
        if self._keys is None or isinstance(self._keys, str):
            return summarise(self.acts, rule=self._keys or DEFAULT_RULE)
        return summarise(self.acts, frequencies=self._keys)

    @cached_property
    def mechanism(self) -> Mechanism:
        """Which mechanism makes the answer, in shares of its margin."""
        from modscope.analysis.causes import mechanism

        return mechanism(self.acts, self.keys)

    @public
    def measure(self, name: str) -> Table:
        """One table of measures; `Net.measures` lists them."""
        return measure_table(self.acts, name, self.keys)

    @property
    def measures(self) -> dict[str, str]:
        """The names of the tables of measures, each with what it looks at."""
        return display.Told({name: measure.says for name, measure in MEASURES.items()})

    @public
    def ablate(self, *names: str, controls: int = 20, seed: int = 0, **replace: Any) -> Any:
        """An ablation by its name beside random controls, or an activation replaced: `net.ablate(pattern=values)`.

        One result for one name (`AblationResult`), a tuple of them for several, or for none at all: every one that applies.
        """
        if replace:
            if names or len(replace) != 1:
                raise InputError("one activation at a time: net.ablate(pattern=...), or names of ablations")
            ((hook, change),) = replace.items()
            values = with_replaced(self.acts, {hook: change}).at(hook).values
            return ablate_with(self.acts, hook, values, controls=controls, seed=seed)
        if len(names) == 1:
            return ablate(self.acts, names[0], self.keys, controls=controls, seed=seed)
        results: tuple[AblationResult, ...] = ablate_all(
            self.acts, self.keys, names=names or None, controls=controls, seed=seed
        )
        return results

    # Shown

    @public
    def show(
        self,
        what: str | object | Sequence[object],
        /,
        *,
        order: tuple[str, str] | None = None,
        **options: Any,
    ) -> View:
        """A view of a hook, a weight, any array, or several over each other; takes what `modscope.show` takes.

        order: ("c", "a") shows rows of equal answer. Axes of the view named in the arguments that are none of its options
        are cut: `net.show("mlp_post", neuron=slice(0, 8), order=("c", "a"))`. Key frequencies are marked; marks, message
        and bookmarks follow from the axes.
        """
        wanted: list[Any] = list(what) if isinstance(what, list | tuple) else [what]
        arrays = [self[x] if isinstance(x, str) else x for x in wanted]
        dims = {dim for x in arrays if isinstance(x, xr.DataArray) for dim in x.dims}
        cut = {name: options.pop(name) for name in list(options) if name in dims and name not in _ROLES}
        shown = [self._picture(x, order, cut) for x in arrays]
        if len(wanted) > 1 and all(isinstance(x, str) for x in wanted):
            options.setdefault("names", wanted)
        picture = shown if isinstance(what, list | tuple) else shown[0]
        follows: dict[str, Any] = {"key_frequencies": self._keys_or_none(), "bookmarks": True}
        return show(picture, **(follows | options))

    def _picture(self, x: object, order: tuple[str, str] | None, cut: Mapping[str, Any]) -> object:
        if not isinstance(x, xr.DataArray):
            return x
        for dim, at in cut.items():
            if dim in x.dims:
                named = dim in x.coords and x.coords[dim].dtype.kind in "UO"
                x = x.sel({dim: at}) if named else x.isel({dim: at})
        return in_order(x, *order) if order else x

    def _keys_or_none(self) -> tuple[int, ...]:
        try:
            return self.keys
        except ModscopeError:
            return ()

    @public
    def report(self, *, with_findings: bool = True) -> Page:
        """The report on this network, as a page that a notebook shows and `save(path)` writes."""
        facts = checkpoint_facts(self.checkpoint) if self.checkpoint else self._facts()
        look = Look(
            self.summary,
            self.acts,
            title=self.name,
            facts=facts | self._replaced_facts(),
            notes=self.checkpoint.notes if self.checkpoint else (),
            findings=self.findings() if with_findings else None,
        )
        return Page(self.name, report_page(look))

    # What it says of itself

    @property
    def name(self) -> str:
        """What the network is called: its file, or its task where there is none."""
        if self.run is not None:
            path = self.run.path
            return path.parent.name if path.is_file() and path.stem in _DULL else path.stem
        return str(self.task)

    def _facts(self) -> dict[str, str]:
        facts = {"network": described(self.model) if self.acts.network else "none: activations alone"}
        if self.epoch is not None:
            several = f", one of {len(self.epochs)}" if len(self.epochs) > 1 else ""
            facts["epoch"] = f"{self.epoch:,}{several}"
        return facts

    def _replaced_facts(self) -> dict[str, str]:
        return {"replaced": ", ".join(self.acts.replaced)} if self.acts.replaced else {}

    def _told(self) -> dict[str, str]:
        measured = self.checkpoint.measured if self.checkpoint and not self.acts.replaced else {}
        scores = ", ".join(
            f"{name.replace('_', ' ')} {display.number_text(x)}" for name, x in measured.items()
        )
        keys = self._keys_or_none()
        return (
            self._facts()
            | self._replaced_facts()
            | ({"measured": scores} if scores else {})
            | {
                "key frequencies": " ".join(map(str, keys)) or "none found",
                "hooks": " ".join(self.acts.hooks),
                "in memory": display.bytes_text(self.acts.nbytes),
            }
        )

    def __repr__(self) -> str:
        return display.facts_text(self._title(), self._told())

    def _title(self) -> str:
        return self.name if self.run is None else f"{self.name}: {self.task}"

    def _repr_html_(self) -> str:
        facts = {name: value for name, value in self._told().items() if name != "hooks"}
        more = [display.details_html("activations", self.acts._repr_html_())]
        found = self.__dict__.get("_findings")
        if found is not None:
            more.append(display.details_html("findings", found._repr_html_(), opened=True))
        return display.facts_html(self._title(), facts, *more)


_DULL = {"end_run_data", "full_run_data", "model", "final", "checkpoint", "weights"}
_ROLES = {"x", "y", "play", "rows", "columns"}
