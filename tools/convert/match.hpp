// defines: Match, which net a source holds and where each of its tensors lies
#pragma once

#include "tools/convert/names.hpp"

namespace ptrain::convert {

struct Match {
  const NetLayout* layout = nullptr;
  const Naming* naming = nullptr;
  struct Place {
    int layer = -1, tensor = -1;  // indices into the source
  };
  std::vector<Place> places;          // one for each tensor of the layout
  std::vector<char> used;             // layers of the source that belong to the net
  std::vector<std::string> problems;  // lines for the message; empty when every tensor is there
  size_t fitting = 0;                 // tensors that are there with the right shape, whatever their type
  bool complete() const { return problems.empty(); }
};

// Tries every net under every naming. Error{weights} when none is complete, when there are two copies of one, or when another net was asked
// for (`asked`: Keras' name, "" for any).
Match find_match(const std::vector<NetLayout>& layouts, const Source& source, const std::string& asked);

}  // namespace ptrain::convert
