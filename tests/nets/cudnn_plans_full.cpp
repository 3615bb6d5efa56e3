// The whole of docs/cuda-plans.tsv, which PTRAIN_WRITE_PLANS=FILE writes anew. PTRAIN_PLAN_CARDS=t4,h100 takes some of the cards.
#ifdef PTRAIN_HAS_CUDNN
#include <fstream>

#include "tests/nets/conv_plans.hpp"

using namespace ptrain;
using namespace ptrain::test;

TEST_CASE("cuDNN's plans for all cards, types and batches are those of the table") {
  const char* const file = std::getenv("PTRAIN_WRITE_PLANS");
  const char* const some = std::getenv("PTRAIN_PLAN_CARDS");
  std::ofstream out;
  const auto write = [&](const std::vector<std::string>& fields) {
    for (size_t i = 0; i < fields.size(); ++i) out << (i ? "\t" : "") << fields[i];
    out << std::endl;
  };
  if (file) out.open(file), write(kColumns);
  for (const std::string& card : kCards) {
    if (some && std::string(some).find(card) == std::string::npos) continue;
    for (const DType type : {DType::float16, DType::bfloat16, DType::float32}) {
      if (card == "t4" && type == DType::bfloat16) continue;  // refused before any convolution
      for (const int64_t batch : {1, 32})
        for (const PlanCount& c : PlanBuilder(card, type, batch).count(convs(batch, type))) {
          INFO(c.card, " ", c.type, " batch ", c.batch, " ", c.kind, ": ", c.missing);
          CHECK(c.none == 0);
          if (file) write(columns(c));
          else same_as_documented(c);
        }
    }
  }
}
#else
#include "tests/support/support.hpp"

TEST_CASE("cuDNN's plans for all cards, types and batches are those of the table") {
  ptrain::test::skip("cudnn", "cuDNN is not installed");
}
#endif
