// The names of keras.applications themselves: "block_1_expand" with "kernel" (Keras 3) or "kernel:0" (Keras 2, tf.keras). Inside a larger
// model a scope may stand before them: "model/block_1_expand".
#include "tools/convert/names.hpp"

namespace ptrain::convert {

const Naming kKerasNames{
    .title = "Keras' layer names",
    .keras_net = "",
    .in_order = true,
    .layers = [](const NetLayout& net, const std::vector<SourceLayer>& layers) { return by_rule(net, layers, last_part); },
    .variable = keras_variable,
};

}  // namespace ptrain::convert
