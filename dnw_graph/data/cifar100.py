"""CIFAR-100: 50,000 and 10,000 colour images of 32×32 pixels in 100 classes; see `dnw_graph.data.cifar`.

The classes are the fine ones; the 20 coarse ones are not read.
"""

from __future__ import annotations

from dnw_graph.data.cifar import Cifar

_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

CIFAR100 = Cifar(
    name="cifar100",
    title="CIFAR-100",
    binary="cifar-100-binary",
    python="cifar-100-python",
    train=("train.bin",),
    test=("test.bin",),
    labels=2,
    reader="CIFAR100",
    class_names=tuple(_NAMES.split()),
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
)

MEAN, STD = CIFAR100.mean, CIFAR100.std
read = CIFAR100.read
