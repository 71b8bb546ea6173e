"""PGD of the attack libraries, as fast as their public settings allow."""

from collections.abc import Callable
from importlib.util import find_spec

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


PGD = {"foolbox": foolbox_pgd, "torchattacks": torchattacks_pgd}


def installed() -> list[str]:
    """Names of the peers that can be imported here."""
    return [name for name in PGD if find_spec(name)]
