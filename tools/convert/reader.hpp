// defines: read_stranger(), what the child does: parse a Keras file, plan the conversion, send the tensors
#pragma once

#include "tools/convert/plan.hpp"

namespace ptrain::convert {

struct ReadRequest {
  int input = -1, scratch = -1;  // the file; room for the unpacked weights of a .keras file, or -1
  bool named_keras = false;      // its name ends in .keras
  PlanOptions options;
};

// Sends frames (channel.hpp) to `pipe`. Runs in the sandbox: opens nothing. Never throws.
void read_stranger(const ReadRequest& request, const std::vector<NetLayout>& layouts, int pipe);

}  // namespace ptrain::convert
