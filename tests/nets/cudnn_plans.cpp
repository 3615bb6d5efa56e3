// The real cuDNN, with no GPU, has a plan for every convolution of the five nets as the backend asks for them: two cards, the rest under
// the label plans_full.
#ifdef PTRAIN_HAS_CUDNN
#include "tests/nets/conv_plans.hpp"

using namespace ptrain;
using namespace ptrain::test;

TEST_CASE("cuDNN accepts every float16 convolution of the five nets on T4 and H100") {
  const std::set<cuda::ConvKey> keys = convs(32, DType::float16);
  CHECK(keys.size() > 400);
  for (const char* card : {"t4", "h100"})
    for (const PlanCount& c : PlanBuilder(card, DType::float16, 32).count(keys)) {
      CHECK(c.convolutions > 50);
      CHECK(c.none == 0);
      same_as_documented(c);
    }
}

TEST_CASE("cuDNN refuses a convolution that no card can compute") {
  cuda::ConvKey key{.shape = {.n = 1, .h = 8, .w = 8, .c = 3, .k = 4, .r = 3, .s = 3}, .type = DType::bfloat16, .filter = DType::bfloat16};
  const cuda::PlanSearch found =
      cuda::find_plan(key, cuda::device_from_json(read_file(PlanBuilder::folder() / "t4.json")));  // bfloat16 needs sm_80
  CHECK(!found.plan);
}
#else
#include "tests/support/support.hpp"

TEST_CASE("cuDNN accepts every float16 convolution of the five nets on T4 and H100") {
  ptrain::test::skip("cudnn", "cuDNN is not installed");
}
#endif
