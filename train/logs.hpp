// defines: Logs, the numbers of one epoch by name, as Keras' callbacks get them
#pragma once

#include <map>
#include <string>

namespace ptrain {

using Logs = std::map<std::string, double>;  // "loss", "accuracy", "val_loss", "val_auc", "learning_rate", …

}  // namespace ptrain
