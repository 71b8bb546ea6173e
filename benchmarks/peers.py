"""The attacks of the libraries, as fast as their public settings allow."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from torch import Tensor, nn

Attack = Callable[[nn.Module, Tensor, Tensor], object]


def foolbox_pgd(epsilon: float, size: float, steps: int) -> Attack:
    """foolbox: `run` on its own, without the evaluation over several epsilons that a call adds."""
    import foolbox

    attack = foolbox.attacks.LinfPGD(abs_stepsize=size, steps=steps)

    def run(model: nn.Module, x: Tensor, y: Tensor) -> object:
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=x.device)
        return attack.run(wrapped, x, foolbox.criteria.Misclassification(y), epsilon=epsilon)

    return run


def torchattacks_pgd(epsilon: float, size: float, steps: int) -> Attack:
    """torchattacks, untouched."""
    import torchattacks

    def run(model: nn.Module, x: Tensor, y: Tensor) -> object:
        return torchattacks.PGD(model, eps=epsilon, alpha=size, steps=steps)(x, y)

    return run


def foolbox_run(make: Callable[[], Any], **more: Any) -> Attack:
    """foolbox's search for the smallest change: `run` on its own."""
    import foolbox

    attack = make()

    def run(model: nn.Module, x: Tensor, y: Tensor) -> object:
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=x.device)
        return attack.run(wrapped, x, foolbox.criteria.Misclassification(y), **more)

    return run


def foolbox_deepfool(steps: int) -> Attack:
    """DeepFool in l2, all ten classes."""
    import foolbox

    return foolbox_run(lambda: foolbox.attacks.L2DeepFoolAttack(steps=steps))


def foolbox_cw(steps: int, searches: int) -> Attack:
    """CW-L2."""
    import foolbox

    return foolbox_run(
        lambda: foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=searches, steps=steps)
    )


def foolbox_boundary(queries: int, starts: Tensor) -> Attack:
    """Boundary: one query a step, and one more every tenth."""
    import foolbox

    return foolbox_run(
        lambda: foolbox.attacks.BoundaryAttack(steps=int(queries / 1.1)), starting_points=starts
    )


PGD = {"foolbox": foolbox_pgd, "torchattacks": torchattacks_pgd}


def installed() -> list[str]:
    """Names of the peers that can be imported here."""
    return [name for name in PGD if find_spec(name)]
