#include "nets/head.hpp"

namespace ptrain {

Tensor head(Scope& s, Tensor x, const HeadOptions& o) {
  REQUIRE_THAT(o.dense.size() == o.dropout.size(), "a head with ", o.dense.size(), " dense layers needs as many dropout rates, got ",
               o.dropout.size());
  for (size_t i = 0; i < o.dense.size(); ++i) {
    const std::string number = std::to_string(i + 1);
    x = s.dense(x, "head_" + number, o.dense[i], Act::relu);
    x = s.dropout(x, "dropout_" + number, o.dropout[i]);
  }
  return s.logits(x, "head_out", o.classes);
}

bool is_head_layer(const std::string& layer) { return layer.starts_with("head_"); }

std::vector<std::string> l2_kernels(const HeadOptions& o) {
  std::vector<std::string> keys;
  if (o.l2 > 0)
    for (size_t i = 1; i <= o.dense.size(); ++i) keys.push_back("head_" + std::to_string(i) + "/kernel");
  return keys;
}

}  // namespace ptrain
