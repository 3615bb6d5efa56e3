#include "tensor/device.hpp"

#include <charconv>

#include "kernels/error.hpp"

namespace ptrain {

std::string str(const Device& d) {
  switch (d.kind) {
    case DeviceKind::cpu: return "cpu";
    case DeviceKind::reference: return "reference";
    case DeviceKind::meta: return "meta";
    case DeviceKind::cuda: return "cuda:" + std::to_string(d.index);
    case DeviceKind::cuda_sim: return "cuda-sim";
  }
  return "?";
}

Device parse_device(const std::string& text) {
  if (text == "cpu") return {DeviceKind::cpu};
  if (text == "reference") return {DeviceKind::reference};
  if (text == "cuda-sim") return {DeviceKind::cuda_sim};
  if (text == "cuda") return {DeviceKind::cuda, 0};
  if (text.starts_with("cuda:")) {
    int index = -1;
    const char* end = text.data() + text.size();
    if (const auto r = std::from_chars(text.data() + 5, end, index); r.ec == std::errc{} && r.ptr == end && index >= 0)
      return {DeviceKind::cuda, index};
  }
  fail(ErrorKind::usage, "unknown device '", text, "': known are cpu, reference, cuda, cuda:N, cuda-sim");
}

}  // namespace ptrain
