#include "layers/initialize.hpp"

#include <cmath>

namespace ptrain {

void initialize(Params& params, uint64_t seed, const std::function<bool(const std::string&)>& wanted) {
  uint32_t place = 0;
  for (Param& p : params.list()) {
    ++place;
    if (!wanted(p.layer)) continue;
    Backend& backend = p.value.memory()->backend();
    const auto exec = backend.make_exec(1);
    if (p.shape.rank() == 1) {
      backend.fill(*exec, p.weight == "gamma" || p.weight == "moving_variance" ? 1 : 0, p.value.buffer());
    } else {
      const int rank = p.shape.rank();
      const int64_t window = rank == 4 ? p.shape[0] * p.shape[1] : 1;
      const double limit = std::sqrt(6.0 / double(window * (p.shape[rank - 2] + p.shape[rank - 1])));
      backend.random_uniform(*exec, seed, place, -limit, limit, p.value.buffer());
    }
    exec->synchronize();
  }
  params.refresh_copies();
}

}  // namespace ptrain
