"""Every number by which curves are judged, in one place.

Those without a source were chosen on 84 short trainings, of dense networks on scikit-learn's digits
and of `small_cnn` on `photo_digits`, with eight optimizers, 27 of them healthy; on 22 others that
were healthy, of other data, networks and seeds, no "error" was said, at any of four lengths.
"""

# How curves are read
FEWEST = 5  # epochs; of fewer no trend can be told: Mann and Kendall's z hardly reaches 2
BLOCKS = 200  # at most so many points make a trend, for the pairs of all would be too many
BATCHES_OF_A_BLOCK = 10  # at least, in a curve of batches alone
TAIL = 1 / 3  # of a curve, that is its end
SURE = 2.0  # Mann and Kendall's |z|: one in twenty series without a trend is beyond
ENOUGH = 10  # epochs, from which on a shape is more than a possibility

# A loss of no use
CONSTANT = 1e-5  # of the loss: float32 sums in another order differ by less
CONSTANT_EPOCHS = 3  # so many at least
FIRST_EPOCHS = 2  # in which it may still move, or
FIRST_PART = 0.2  # of the run
CERTAIN_MISTAKE = 16.118  # Keras's cross-entropy of a wrong answer that is certain: −ln 1e-7
SATURATED = 0.02  # of this, to which the loss over the share of mistakes is equal
WORSE_THAN_CHANCE = 1.2  # times the loss of chance, in the first epoch

# The rate
RISEN = 0.1  # of the first loss, that the last is above it
JUMP = 0.1  # of the loss before, and of a tenth of the first, that is a jump up
JUMPS = 0.2  # of the epochs, that are jumps in an erratic curve
LOST = 0.3  # of the fall, lost again by the end
STRAIGHT = (0.5, 2.0)  # slope of the second half over that of the first, about 1 of a line
LITTLE = 0.35  # of the first loss, gone in the end, that is slow
LITTLE_AN_EPOCH = 0.03  # and no more than this an epoch, in a short run
MUCH = 0.5  # of the first loss, gone in the end, that is a fall
NEARLY_FLAT = 0.1  # the same, of a curve that is rough
ROUGH = 0.01  # of the last loss, that is noise from epoch to epoch
FLAT = 0.06  # of the last loss, by which the last third still falls
EARLY = 0.4  # of the epochs, within which a curve that stalls has fallen
MOST = 0.9  # of the fall

# Fit
LEVEL_OF_CHANCE = 0.3  # of chance, by which an accuracy may be above it
LOSS_OF_CHANCE = 0.03  # of ln C, by which a loss may differ from it
CLOSELY = 0.01  # the same, with which twice LEVEL_OF_CHANCE is no learning either
CLEAR = 6  # deviations of the noise, that a fall is surely more than
OF_MAJORITY = 0.01  # by which an accuracy may be above the majority's share
LOW_ACCURACY = 0.75  # of training
LEARNED = 1.25  # times that, from which on training is above chance,
LEARNED_MUCH = 1.5  # and from which on for sure
GAP = 0.1  # of accuracies, as in AutoTrainer (2021)
GAP_ABOVE = (0.9, 0.07)  # of a training accuracy above the first, as there
NO_GAP = 0.05  # of accuracies, or of the loss
RISE_OF_VALIDATION = 0.2  # of its least loss
SLIGHT_RISE = 0.05  # the same, of which one should know
BETTER_LOSS = 0.1  # of the training loss, that validation is below it

# The end
STALL = 0.01  # of the best loss, that an improvement is more than
STALLED = 0.25  # of the run, and at least FEWEST epochs
FALLING = 0.05  # of the whole fall, in the last third
SPIKE = 0.3  # of the fall, and SPIKE_NOISE deviations
SPIKE_NOISE = 6.0

# Batches
WIDE = 0.1  # deviation of a batch's loss over the fall of the curve
GOOD_WIDTH = 0.03  # the same of healthy trainings with batches of 32
SMALL_BATCH = 16  # up to which the size is likely the reason
FEW_UPDATES = 5  # of an epoch
FEWEST_BATCHES = 100  # of which a width can be told
BLOCKS_OF_BATCHES = 30  # over which the width is a median
