"""CapsNet: routing from the primary capsules of two convolutions to one capsule for each class."""

from torch import Tensor, nn

from core.models.capsules import length_logit, squash
from core.models.groups import POSE_DIM, GroupNet, GroupSize
from core.models.layers import PRIMARY_DIM, Encoder
from core.models.routing import Routing


class CapsNet(GroupNet):
    """Capsule network: primary capsules, three routing iterations, class capsules.

    The logit of a class is the logit of its capsule's length. Source: sabour2017; qin2020, section 4.1.
    """

    def make_encoder(self, size: GroupSize) -> tuple[nn.Module, int]:
        """The layers between image and capsules, maps of 8 for each type; how many places the maps have."""
        encoder, places = super().make_encoder(size)
        assert isinstance(encoder, Encoder)
        # Squash maps small vectors to far smaller ones: with the usual init no signal would reach the
        # routing.
        for conv, std in ((encoder.conv1, 0.05), (encoder.conv2, 0.1)):
            nn.init.trunc_normal_(conv.weight, std=std)
            if conv.bias is not None:
                nn.init.constant_(conv.bias, 0.1)
        return encoder, places

    def make_head(self) -> nn.Module:
        """Routing from all primary capsules to the class capsules."""
        return Routing(self.capsules, PRIMARY_DIM, self.n_classes, POSE_DIM)

    def primary(self, x: Tensor) -> Tensor:
        """Primary capsules (B, I, 8): each is the eight maps of one type at one place."""
        maps = self.encoder(x).to(x.dtype)
        by_type = maps.reshape(x.shape[0], self.types, PRIMARY_DIM, -1)  # (B, types, 8, places)
        # In memory the eight dimensions stay before the capsules, as routing wants them.
        capsules = by_type.transpose(1, 2).reshape(x.shape[0], PRIMARY_DIM, self.capsules).transpose(1, 2)
        # The reference computes this layer as routing with uniform coupling over the types, hence the
        # division.
        return squash(capsules / self.types)

    def logits_and_poses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] to logits (B, J) and class capsules (B, J, 16)."""
        s = self.head(self.primary(x))
        return length_logit(s), squash(s)
