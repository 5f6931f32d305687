"""AlexNet: five convolutions and three wide dense layers, with which deep learning won on photographs.

Source: A. Krizhevsky, I. Sutskever, G. E. Hinton, ImageNet classification with deep convolutional neural networks
(NIPS 2012), section 3 (the net), 4 (dropout, changes of pictures). The form with one tower: A. Krizhevsky, One weird
trick for parallelizing convolutional neural networks (2014), section 5. Notes: S171, C018, E033.

ReLUs, pooling windows of 3 × 3 that overlap, as they lie 2 apart, and dropout. `--towers 2` is the net of 2012: two
halves, one on each graphics processor, which see each other in the third convolution and from the dense layers on. They
stand here as one net, of convolutions in two groups: 60,965,224 parameters for 1000 classes. Its first two layers are
normalised over neighbouring maps. `--towers 1`, the default, is the later form, 61,100,840 parameters, without that
normalisation and with fewer maps; the weights that are published are for it. Both have eight layers with weights, where
a table in the notes counts seven.

Departures from the paper:
- The first convolution pads by 2 pixels, so that 224 pixels give 55 × 55. The paper says 224 and draws 55, which
  without padding takes 227. It is thus not padded to the same size, as all others are.
- With two towers the normalisation of neighbouring maps looks over the border between them; on two graphics processors
  it could not. Its constants were found for pixels of 0 to 255; here they are brought to deviation 1 first.
- Average pooling to 6 × 6 lies before the dense layers, as in the published weights: at 224 pixels it does nothing, and
  it lets larger and smaller pictures in.
- `--stem small`, for pictures of up to 64 pixels: the first convolution is 3 × 3 of stride 1, in place of 11 × 11 of
  stride 4, and pooling rounds up, so that 32 pixels give 16, 8 and 4, and the average is 2 × 2. The dense layers have
  512 units, as 4096 would hold nine tenths of all weights, and there are half as many maps.
- Weights start as in He et al. 2015, biases at 0; in the paper at a deviation of 0.01 and at 1 in some layers. The norm
  of the gradient is bounded, as without batch normalisation a first great step may kill all ReLUs of a layer.
- AdamW, and a rate that follows one cycle: without batch normalisation the net needs half as many passes so. In the
  paper momentum, and a rate divided by ten when the error stood still.

Expected: digits, 98 % right in half a minute. Commands and figures are in benchmarks/results.md.

Letters: B pictures, C channels, H and W pixels, K classes.
"""

from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from deepclassics.classifier import Classifier, Dense
from deepclassics.layers import starts
from deepclassics.layers.pictures import Standardise
from deepclassics.recipe import Clip, Epochs, Published, Rate, Rule

# Maps of the five convolutions, by towers. Only the net of 2012 joins its towers, in the third.
MAPS = {1: (64, 192, 384, 256, 256), 2: (96, 256, 384, 384, 256)}


class AlexNet(nn.Module):
    """`width` is the share of the published maps, `dense` the units of each hidden dense layer.

    `mean` and `std` are those of the pictures, of which there are `channels`. With one tower and the large stem the
    names and shapes of the weights are those of torchvision's net.
    """

    def __init__(
        self,
        towers: int,
        channels: int,
        classes: int,
        mean: list[float],
        std: list[float],
        *,
        small: bool = False,
        dense: int = 4096,
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()

        def pooling() -> nn.MaxPool2d:
            return nn.MaxPool2d(3, 2, ceil_mode=small)

        one, two, three, four, five = (towers * max(1, round(count * width / towers)) for count in MAPS[towers])
        first = nn.Conv2d(channels, one, 3, 1, 1) if small else nn.Conv2d(channels, one, 11, 4, 2)
        side = 2 if small else 6
        self.standardise = Standardise(mean, std)
        if towers == 1:
            self.features = nn.Sequential(
                *(first, nn.ReLU(), pooling()),
                *(nn.Conv2d(one, two, 5, padding=2), nn.ReLU(), pooling()),
                *(nn.Conv2d(two, three, 3, padding=1), nn.ReLU()),
                *(nn.Conv2d(three, four, 3, padding=1), nn.ReLU()),
                *(nn.Conv2d(four, five, 3, padding=1), nn.ReLU(), pooling()),
            )
            self.classifier = nn.Sequential(
                *(nn.Dropout(dropout), nn.Linear(five * side**2, dense), nn.ReLU()),
                *(nn.Dropout(dropout), nn.Linear(dense, dense), nn.ReLU()),
                nn.Linear(dense, classes),
            )
        else:
            self.features = nn.Sequential(
                *(first, nn.ReLU(), normalisation(), pooling()),
                *(nn.Conv2d(one, two, 5, padding=2, groups=2), nn.ReLU(), normalisation(), pooling()),
                *(nn.Conv2d(two, three, 3, padding=1), nn.ReLU()),
                *(nn.Conv2d(three, four, 3, padding=1, groups=2), nn.ReLU()),
                *(nn.Conv2d(four, five, 3, padding=1, groups=2), nn.ReLU(), pooling()),
            )
            self.classifier = nn.Sequential(
                *(nn.Linear(five * side**2, dense), nn.ReLU(), nn.Dropout(dropout)),
                *(nn.Linear(dense, dense), nn.ReLU(), nn.Dropout(dropout)),
                nn.Linear(dense, classes),
            )
        self.avgpool = nn.AdaptiveAvgPool2d(side)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                starts.he(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:  # (B, C, H, W) of pixels in [0, 1] -> (B, K) scores
        return self.classifier(self.avgpool(self.features(self.standardise(image))).flatten(1))


def normalisation() -> nn.LocalResponseNorm:
    """Each value over (2 + 1e-4 Σ a²)^0.75, the sum over its own and the two maps on either side (section 3.3).

    torch's alpha is for the mean of the five squares, the paper's for their sum.
    """
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)


class AlexNetRecipe(Classifier):
    """AlexNet, with one tower or with two, on pictures with labels."""

    head = "classifier.6"
    built = ("towers", "width", "dense")
    sides = (16, 63)  # that leave one place after the last pooling
    published = (
        Published(
            on="ilsvrc2012",
            score="top-5 error of the validation pictures",
            value=0.182,
            source="Krizhevsky et al. 2012, table 2, one net",
            protocol={"towers": 2, "training examples": 1_200_000},
        ),
        Published(
            on="cifar10",
            score="test/error",
            value=0.11,
            source="Krizhevsky et al. 2012, section 3.3, a net of four layers with normalisation of neighbouring maps",
            protocol={"layers": 4, "augmentation": "none", "training examples": 50000, "pictures": "as published"},
        ),
    )

    towers: Literal[1, 2] = Field(1, description="1 the later form; 2 the net of 2012, with normalisation over maps")
    width: Annotated[
        Literal["auto"] | Annotated[float, Field(gt=0, le=4)],
        Field(
            description="maps, as a share of the published ones; auto: 1 with the large stem, 0.5 with the small one"
        ),
    ] = "auto"
    dense: Dense = "auto"
    dropout: float = Field(0.5, ge=0, lt=1, description="share of units left out, in front of or in the dense layers")
    epochs: Epochs = 30
    lr: Rate = 0.001
    optimizer: Rule = "adamw"  # valid error 5 % after 8 passes over the digits; by Nesterov at 0.02, 6 % after 15
    clip_norm: Clip = Field(1.0, description="bound on the norm of the gradient")

    def net(self, spec: dict[str, Any]) -> AlexNet:
        return AlexNet(
            self.towers,
            spec["shape"][0],
            len(spec["target"]["classes"]),
            spec["mean"],
            spec["std"],
            small=self.stem_of(spec) == "small",
            dense=self.units(self.dense, spec),
            width=self._width(spec),
            dropout=self.dropout,
        )

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        found = super().chosen(spec)
        found |= {"width": self._width(spec)} if self.width == "auto" else {}
        return found | ({"dense": self.units(self.dense, spec)} if self.dense == "auto" else {})

    def _width(self, spec: dict[str, Any]) -> float:
        if self.width != "auto":
            return self.width
        return 0.5 if self.stem_of(spec) == "small" else 1.0
