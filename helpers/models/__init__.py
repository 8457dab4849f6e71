"""The networks of the experiments.

Each is an ``nn.Sequential`` of named layers, so that it prints as it reads, can be sliced, and a layer is
``network.conv2_1``. The first layer is always `Normalize`: the images' mean and standard deviation belong to the
weights and travel with them, to another data set, into a checkpoint. So every network takes images as the data comes,
uint8 from 0 to 255 or float from 0 to 1, of shape (N, C, H, W). It returns logits of shape (N, num_classes); only a
`Backbone`'s body, which has no head yet, returns features of shape (N, num_features).
"""

from helpers.models.describe import count_parameters, flat_layers, layer_table, stages
from helpers.models.layers import Dropout, ModelError, Normalize, seeded
from helpers.models.networks import arc2, arc3, cnn_model, cnn_model_2, cnn_on_a, optimized_cnn_model, resolution_cnn
from helpers.models.pretrained import Backbone, backbone
