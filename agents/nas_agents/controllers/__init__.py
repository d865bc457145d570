"""Controllers: agents that design a network decision by decision, as the papers do.

The LSTM of NAS, NASNet and ENAS (`lstm`, `settings`, `steps`) as a policy of Stable-Baselines3
(`lstm_policy`), other policies for nas_gym's observations (`policies`, `choice_policy`), and the
papers' algorithms: `reinforce`, `nasnet_ppo`, and in `sharing` those of children that share
weights. Import classes from these modules: each loads only what it needs.
"""
