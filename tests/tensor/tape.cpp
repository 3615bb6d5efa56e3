#include "tensor/tape.hpp"

#include "tests/support/grad.hpp"
#include "tests/support/support.hpp"

using namespace ptrain;
using namespace ptrain::test;

TEST_CASE("frozen inputs record nothing and keep nothing alive") {
  ReferencePass pass;
  Context c = pass.context();
  const auto& pool = static_cast<const Pool&>(*pass.memory);
  const Tensor x = pass.random({1, 8, 8, 4}), w = pass.random({3, 3, 4, 4});
  Tensor y = x;
  for (int i = 0; i < 5; ++i) y = activation(c, conv(c, y, w, {.pad_h = 1, .pad_w = 1}), Act::relu);
  CHECK(pass.tape.size() == 0);
  CHECK(!pass.tape.wants_grad(y));
  CHECK(pool.peak_bytes() <= (2 + 3) * x.size() * 8 + 64);  // x and w, and three tensors at a time: what goes in, between, and out
}

TEST_CASE("recording starts at the first tensor that wants a gradient") {
  ReferencePass pass;
  Context c = pass.context();
  const Tensor x = pass.random({2, 3}), w1 = pass.random({3, 3}), w2 = pass.random({3, 3});
  pass.tape.watch(w2);
  const Tensor y = dense(c, dense(c, x, w1), w2);
  CHECK(pass.tape.size() == 1);
  pass.tape.backward(c, y, pass.values({1, 1, 1, 1, 1, 1}, {2, 3}));
  CHECK(pass.tape.size() == 0);
  CHECK(pass.tape.has_grad(w2));
  CHECK(!pass.tape.has_grad(w1));
  CHECK(!pass.tape.has_grad(x));
  CHECK_THROWS_AS(pass.tape.grad(w1), Error);
}

TEST_CASE("gradients of a tensor that is used twice add") {
  ReferencePass pass;
  Context c = pass.context();
  const Tensor x = pass.values({1, 2}, {2});
  pass.tape.watch(x);
  const Tensor y = add(c, add(c, x, x), x);
  pass.tape.backward(c, y, pass.values({1, 10}, {2}));
  CHECK(pass.tape.grad(x).to_doubles() == std::vector<double>{3, 30});
}

TEST_CASE("an op that may writes dx over dy when nobody else holds it and never over the seed") {
  ReferencePass pass;
  Context c = pass.context();
  const Tensor x = pass.values({-1, 2}, {2}), seed = pass.values({5, 7}, {2});
  pass.tape.watch(x);
  const void* of_dy = nullptr;
  const Tensor y = activation(c, x, Act::relu), z = c.like(y);
  c.backend.copy(c.exec, y.buffer(), z.buffer());
  pass.tape.record({y}, z, [&, y = Ref(y)](Context& b, const Tensor& dz) {
    const Into dy = b.tape.into_place_of(b, y, dz);  // the caller holds the seed
    CHECK(dy.buffer.data != dz.buffer().data);
    b.backend.copy(b.exec, dz.buffer(), dy.buffer);
    of_dy = dy.buffer.data;
  });
  pass.tape.backward(c, z, seed);
  CHECK(pass.tape.grad(x).buffer().data == of_dy);
  CHECK(pass.tape.grad(x).to_doubles() == std::vector<double>{0, 7});
  CHECK(seed.to_doubles() == std::vector<double>{5, 7});
}

TEST_CASE("gradients that share memory part before one of them changes") {
  ReferencePass pass;
  Context c = pass.context();
  const Tensor a = pass.values({-1, 2}, {2}), b = pass.values({3, -4}, {2});
  pass.tape.watch(a);
  pass.tape.watch(b);
  // dy goes to both sides of the sum; then one side's passes through a relu, and the other side's gets a second part.
  const Tensor sum = add(c, activation(c, a, Act::relu), b), y = add(c, sum, b);
  pass.tape.backward(c, y, pass.values({10, 20}, {2}));
  CHECK(pass.tape.grad(a).to_doubles() == std::vector<double>{0, 20});
  CHECK(pass.tape.grad(b).to_doubles() == std::vector<double>{20, 40});
}

TEST_CASE("the output of a batch norm in training is made anew instead of kept") {
  ReferencePass pass;
  Context c = pass.context();
  const Tensor x = pass.random({4, 16, 16, 8}), gamma = pass.random({8}), beta = pass.random({8}), w = pass.random({1, 1, 8, 1});
  const BatchNorm bn{.gamma = gamma, .beta = beta, .moving_mean = pass.random({8}), .moving_variance = pass.random({8}), .act = Act::relu};
  for (const Tensor& t : {x, gamma, beta, w}) pass.tape.watch(t);
  Tensor output = norm_train(c, x, bn);
  const Tensor y = conv(c, output, w, {});
  CHECK(output.is_sole_owner());  // the tape does not hold it
  output = {};
  const Tensor seed = pass.random(y.shape());
  pass.tape.backward(c, y, seed);
  const std::vector<double> of_w = pass.tape.grad(w).to_doubles(), of_x = pass.tape.grad(x).to_doubles();
  // The same with the output held by hand.
  pass.tape.clear();
  for (const Tensor& t : {x, gamma, beta, w}) pass.tape.watch(t);
  const Tensor normalised = norm_train(c, x, bn);
  const Tensor kept = c.like(normalised);
  c.backend.copy(c.exec, normalised.buffer(), kept.buffer());
  pass.tape.record({normalised}, kept, [n = Ref(normalised)](Context& b, const Tensor& dy) { b.tape.pass(b, n, dy); });
  const Tensor z = conv(c, kept, w, {});
  pass.tape.backward(c, z, seed);
  const auto close = [](const std::vector<double>& a, const std::vector<double>& b) {
    double far = 0;
    for (size_t i = 0; i < a.size(); ++i) far = std::max(far, std::abs(a[i] - b.at(i)));
    return far < 1e-11;
  };
  CHECK(close(pass.tape.grad(w).to_doubles(), of_w));
  CHECK(close(pass.tape.grad(x).to_doubles(), of_x));
}

TEST_CASE("the sums of a chain of residual blocks are made anew instead of kept") {
  ReferencePass pass;
  Context c = pass.context();
  const Shape shape{2, 6, 6, 4};
  const BatchNorm bn{
      .gamma = pass.random({4}), .beta = pass.random({4}), .moving_mean = pass.random({4}), .moving_variance = pass.random({4})};
  const Tensor x = pass.random(shape), w1 = pass.random({1, 1, 4, 4}), w2 = pass.random({1, 1, 4, 4}), w3 = pass.random({1, 1, 4, 1}),
               seed = pass.random({2, 6, 6, 1});
  const std::vector<Tensor> watched{x, bn.gamma, bn.beta, w1, w2, w3};
  const auto gradients = [&](bool keep) {
    pass.tape.clear();
    for (const Tensor& t : watched) pass.tape.watch(t);
    // A copy has no recipe, so whoever comes next keeps it.
    const auto kept = [&](const Tensor& t) {
      if (!keep) return t;
      const Tensor copy = c.like(t);
      c.backend.copy(c.exec, t.buffer(), copy.buffer());
      pass.tape.record({t}, copy, [t = Ref(t)](Context& b, const Tensor& dy) { b.tape.pass(b, t, dy); });
      return copy;
    };
    std::vector<Tensor> sums{kept(norm_train(c, x, bn))};
    for (const Tensor& w : {w1, w2})
      sums.push_back(kept(add(c, sums.back(), kept(norm_train(c, conv(c, sums.back(), w, {}), bn)), Act::relu)));
    const Tensor y = conv(c, sums.back(), w3, {});
    for (const Tensor& sum : sums) CHECK(sum.is_sole_owner() == !keep);  // the tape holds it or not
    sums.clear();
    pass.tape.backward(c, y, seed);
    std::vector<double> all;
    for (const Tensor& t : watched)
      for (const double g : pass.tape.grad(t).to_doubles()) all.push_back(g);
    return all;
  };
  const std::vector<double> remade = gradients(false), held = gradients(true);
  double far = 0, largest = 0;
  for (size_t i = 0; i < held.size(); ++i)
    far = std::max(far, std::abs(held[i] - remade.at(i))), largest = std::max(largest, std::abs(held[i]));
  CHECK(largest > 1e-3);
  CHECK(far < 1e-11 * largest);
}

TEST_CASE("averages of overlapping windows are made anew instead of kept, also of what is made anew itself") {
  ReferencePass pass;
  const BatchNorm bn{
      .gamma = pass.random({4}), .beta = pass.random({4}), .moving_mean = pass.random({4}), .moving_variance = pass.random({4})};
  const PoolWindow same{.window = 3, .stride = 1, .pad = 1};
  EXPECT_GRAD({pass.random({2, 5, 4, 4}), pass.random({1, 1, 4, 2})},
              [=](Context& c, const auto& in) { return conv(c, avg_pool(c, norm_train(c, in[0], bn), same), in[1], {}); });

  Context c = pass.context();
  const Tensor x = pass.random({2, 4, 4, 4}), w = pass.random({1, 1, 4, 2});
  for (const Tensor& t : {x, w}) pass.tape.watch(t);
  const Tensor wide = avg_pool(c, x, same), narrow = avg_pool(c, x, {.window = 2, .stride = 2});
  const Tensor y = conv(c, wide, w, {}), z = conv(c, narrow, w, {});
  CHECK(wide.is_sole_owner());          // the tape does not hold it
  CHECK_FALSE(narrow.is_sole_owner());  // smaller than what it would be made of
}

TEST_CASE("a pooled activation is not kept, unless somebody else reads it as well") {
  for (const int readers : {0, 1, 2}) {  // beside the pool: none, one before it, one after it
    CAPTURE(readers);
    std::vector<double> of_x, of_b;
    for (const bool by_hand : {false, true}) {
      ReferencePass pass;
      Context c = pass.context();
      const Tensor x = pass.random({2, 6, 6, 3}), b = pass.random({3});
      pass.tape.watch(x), pass.tape.watch(b);
      const auto sum = [&](const Tensor& t) { return global_avg_pool(c, t); };
      Tensor y = bias_act(c, x, b, Act::relu), beside;
      if (by_hand) {  // an op between the activation and the pool: nothing can be taken over
        const Tensor copy = c.like(y);
        c.backend.copy(c.exec, y.buffer(), copy.buffer());
        pass.tape.record({y}, copy, [y = Ref(y)](Context& k, const Tensor& dy) { k.tape.pass(k, y, dy); });
        y = copy;
      }
      if (readers == 1) beside = sum(y);
      Tensor loss = sum(max_pool(c, y, {.window = 2, .stride = 2}));
      if (readers == 2) beside = sum(y);
      if (readers > 0) loss = add(c, loss, beside);
      if (!by_hand) CHECK(y.is_sole_owner() == (readers == 0));
      y = {};
      pass.tape.backward(c, loss, pass.values({1, -2, 3, -4, 5, -6}, {2, 3}));
      const std::vector<double> dx = pass.tape.grad(x).to_doubles(), db = pass.tape.grad(b).to_doubles();
      if (!by_hand) {
        of_x = dx, of_b = db;
        continue;
      }
      CHECK(of_x == dx);
      CHECK(of_b == db);
      CHECK(std::count(dx.begin(), dx.end(), 0.0) > 0);
    }
  }
}

TEST_CASE("a branch that the loss does not depend on costs nothing") {
  ReferencePass pass;
  Context c = pass.context();
  const Tensor x = pass.values({1, 2}, {2});
  pass.tape.watch(x);
  const Tensor y = add(c, x, x), unused = activation(c, y, Act::relu);
  pass.tape.backward(c, y, pass.values({1, 1}, {2}));
  CHECK(pass.tape.grad(x).to_doubles() == std::vector<double>{2, 2});
}

TEST_CASE("backward frees activations as it goes") {
  ReferencePass pass;
  Context c = pass.context();
  const Tensor x = pass.random({1, 4}), w = pass.random({4, 4});
  pass.tape.watch(w);
  std::weak_ptr<int> alive;  // kept by the second step alone
  Tensor y = dense(c, x, w);
  {
    const auto token = std::make_shared<int>(0);
    alive = token;
    Tensor z = c.like(y);
    c.backend.copy(c.exec, y.buffer(), z.buffer());
    pass.tape.record({y}, z, [token, y = Ref(y)](Context& b, const Tensor& dy) { b.tape.pass(b, y, dy); });
    y = z;
  }
  bool freed_before_first = false;
  Tensor first = pass.random({1, 4});
  pass.tape.watch(first);
  CHECK(!alive.expired());
  // Recorded last, so it runs first: the token is still there; after backward it is gone.
  Tensor last = c.like(y);
  c.backend.copy(c.exec, y.buffer(), last.buffer());
  pass.tape.record({y}, last, [&, y = Ref(y)](Context& b, const Tensor& dy) {
    freed_before_first = alive.expired();
    b.tape.pass(b, y, dy);
  });
  pass.tape.backward(c, last, pass.values({1, 1, 1, 1}, {1, 4}));
  CHECK(!freed_before_first);
  CHECK(alive.expired());
}

TEST_CASE("backward refuses what has no gradient and a seed of another size") {
  ReferencePass pass;
  Context c = pass.context();
  const Tensor x = pass.random({3}), y = add(c, x, x);
  CHECK_THROWS_AS(pass.tape.backward(c, y, pass.random({3})), Error);
  pass.tape.watch(x);
  const Tensor z = add(c, x, x);
  CHECK_THROWS_AS(pass.tape.backward(c, z, pass.random({2})), Error);
}

TEST_CASE("the guard clears the tape when a step throws") {
  ReferencePass pass;
  const Tensor x = pass.random({3});
  try {
    const TapeGuard guard(pass.tape);
    Context c = pass.context();
    pass.tape.watch(x);
    add(c, x, x);
    CHECK(pass.tape.size() == 1);
    fail(ErrorKind::failed, "in the middle of a step");
  } catch (const Error&) {}
  CHECK(pass.tape.size() == 0);
  CHECK(!pass.tape.wants_grad(x));
}

TEST_CASE("a reshaped tensor has the gradient of the tensor it shows") {
  ReferencePass pass;
  Context c = pass.context();
  const Tensor x = pass.values({1, 2, 3, 4}, {2, 2});
  pass.tape.watch(x);
  const Tensor y = add(c, x.reshape({4}), x.reshape({4}));
  pass.tape.backward(c, y, pass.values({1, 2, 3, 4}, {4}));
  CHECK(pass.tape.grad(x).to_doubles() == std::vector<double>{2, 4, 6, 8});
}
