// defines: Repeated, work that is the same every time, recorded where the device can
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels/backend.hpp"

namespace ptrain {

// The first time the work runs as it is: plans are chosen, memory is taken. The second time it is recorded, and from then on the recording
// is given to the device in one piece. Where the device records nothing the work always runs as it is; the results are the same bits.
class Repeated {
 public:
  // `places`: memory that the work uses and that may come to lie elsewhere. When it does, or the scratch of the Exec does, the recording is
  // thrown away. A device that cannot record this work says so once on stderr, and the work runs as it is from then on.
  void run(Backend&, Exec&, const std::function<std::vector<const void*>()>& places, const std::function<void()>& work);
  bool recorded() const { return recording_ != nullptr; }

 private:
  bool ran_ = false, given_up_ = false;
  const Exec* exec_ = nullptr;
  std::vector<const void*> places_;
  std::unique_ptr<Recording> recording_;
};

}  // namespace ptrain
